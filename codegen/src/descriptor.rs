//! The object file beside the code of a library: what the C interface needs to know of it.

use aiai_runtime::abi;
use aiai_runtime::program::Package;
use object::write::{Object, Relocation, StandardSection, Symbol, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionKind, SymbolFlags, SymbolKind,
    SymbolScope,
};

/// An object file that defines `symbol`: the version of the interface, the addresses of the function `entry` and
/// of the one that prepares weights for it (0 where there is none), and the package as JSON with its length, 8
/// bytes each.
///
/// # Errors
/// Where the file format refuses what it is given; a defect.
pub fn descriptor(package: &Package, symbol: &str, entry: &str) -> Result<Vec<u8>, String> {
    let text = serde_json::to_vec(package).map_err(|e| e.to_string())?;
    let mut file = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let constants = file.section_id(StandardSection::ReadOnlyData);
    let place = file.append_section_data(constants, &text, 1);
    let data = file.add_symbol(named(
        "",
        place,
        text.len(),
        SymbolKind::Data,
        SymbolScope::Compilation,
        SymbolSection::Section(constants),
    ));
    let mut function = |name: &str| {
        file.add_symbol(named(
            name,
            0,
            0,
            SymbolKind::Text,
            SymbolScope::Unknown,
            SymbolSection::Undefined,
        ))
    };
    let code = function(entry);
    let prepare = match package.program.packed.is_empty() {
        true => None,
        false => Some((16, function(&abi::prepare_symbol(entry)))),
    };
    let words = [abi::INTERFACE, 0, 0, 0, text.len() as u64];
    let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    let section = file.section_id(StandardSection::ReadOnlyDataWithRel);
    let start = file.append_section_data(section, &bytes, 8);
    file.add_symbol(named(
        symbol,
        start,
        bytes.len(),
        SymbolKind::Data,
        SymbolScope::Dynamic,
        SymbolSection::Section(section),
    ));
    for (offset, symbol) in [(8, code), (24, data)].into_iter().chain(prepare) {
        let relocation = Relocation {
            offset: start + offset,
            symbol,
            addend: 0,
            flags: RelocationFlags::Elf {
                r_type: object::elf::R_X86_64_64,
            },
        };
        file.add_relocation(section, relocation)
            .map_err(|e| e.to_string())?;
    }
    // Without it, linkers take the stack to be run.
    file.add_section(Vec::new(), b".note.GNU-stack".to_vec(), SectionKind::Other);
    file.write().map_err(|e| e.to_string())
}

fn named(
    name: &str,
    value: u64,
    size: usize,
    kind: SymbolKind,
    scope: SymbolScope,
    section: SymbolSection,
) -> Symbol {
    Symbol {
        name: name.as_bytes().to_vec(),
        value,
        size: size as u64,
        kind,
        scope,
        weak: false,
        section,
        flags: SymbolFlags::None,
    }
}
