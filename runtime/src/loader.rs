//! Places an object file in the memory of this process and links it: x86-64 ELF, what compilers of position
//! independent code emit.
//!
//! Undefined symbols are functions of [`crate::abi`] or of the system's libraries that this process has
//! loaded. Calls to them go through a jump in the same block of memory, since they may be too far for a
//! direct one. Once linked the block is read and run, never written.

use std::collections::HashMap;
use std::ffi::{CString, c_char, c_void};

use memmap2::{Mmap, MmapMut};
use object::elf::{R_X86_64_64, R_X86_64_PC32, R_X86_64_PLT32};
use object::elf::{R_X86_64_GOTPCREL, R_X86_64_GOTPCRELX, R_X86_64_REX_GOTPCRELX};
use object::read::elf::ElfFile64;
use object::{
    Object as _, ObjectSection as _, ObjectSymbol as _, RelocationFlags, RelocationTarget,
    SectionFlags, SectionIndex, SymbolIndex,
};

use crate::abi;

/// Why an object file cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("object file: {0}")]
pub struct LoadError(String);

/// Code in memory, freed when dropped.
pub struct Loaded {
    map: Mmap,
    entry: usize,
    prepare: Option<usize>,
}

impl Loaded {
    /// The entry that was asked for.
    ///
    /// # Safety
    /// The symbol is an entry: a function of that signature. It may be called while `self` lives.
    pub unsafe fn entry(&self) -> abi::EntryFn {
        // SAFETY: the caller's promise.
        unsafe { self.function(self.entry) }
    }

    /// The entry that packs weights, where there is one.
    ///
    /// # Safety
    /// As for [`Loaded::entry`].
    pub unsafe fn prepare(&self) -> Option<abi::EntryFn> {
        // SAFETY: the caller's promise.
        self.prepare.map(|at| unsafe { self.function(at) })
    }

    /// # Safety
    /// An entry stands at this place.
    unsafe fn function(&self, at: usize) -> abi::EntryFn {
        let address = self.map.as_ptr().wrapping_add(at);
        // SAFETY: the caller's promise.
        unsafe { std::mem::transmute::<*const u8, abi::EntryFn>(address) }
    }

    /// The size of code, constants and jumps, in bytes.
    pub fn bytes(&self) -> usize {
        self.map.len()
    }
}

/// Links an object file and finds the function `symbol` in it, and the one that prepares for it.
///
/// # Errors
/// What is no object file for this machine, has data that is written, or refers to what is not there.
pub fn load(bytes: &[u8], symbol: &str) -> Result<Loaded, LoadError> {
    if !cfg!(target_arch = "x86_64") {
        return Err(LoadError("only x86-64 is supported".into()));
    }
    let file =
        ElfFile64::<object::Endianness>::parse(bytes).map_err(|e| LoadError(e.to_string()))?;
    if file.architecture() != object::Architecture::X86_64 {
        return Err(LoadError("not for x86-64".into()));
    }
    let mut image = Image::placed(&file)?;
    image.link(&file)?;
    let place = |name: &str| {
        let symbol = file.symbol_by_name(name)?;
        let section = image.sections.get(&symbol.section_index()?)?;
        let at = section.checked_add(usize::try_from(symbol.address()).ok()?)?;
        (at < image.map.len()).then_some(at)
    };
    let prepare = place(&abi::prepare_symbol(symbol));
    let entry = place(symbol);
    let entry = entry.ok_or_else(|| LoadError(format!("it does not define `{symbol}`")))?;
    let map = image.map.make_exec();
    let map = map.map_err(|e| LoadError(format!("memory cannot be made executable: {e}")))?;
    Ok(Loaded {
        map,
        entry,
        prepare,
    })
}

type File<'b> = ElfFile64<'b, object::Endianness>;

/// Sections in memory, followed by a jump and an address for every symbol from elsewhere.
struct Image {
    map: MmapMut,
    /// Where each section that is loaded starts.
    sections: HashMap<SectionIndex, usize>,
    /// Where the jump to a symbol from elsewhere is; its address follows at [`ADDRESS`].
    jumps: HashMap<SymbolIndex, usize>,
    /// Addresses of symbols of this file, for code that reads them from memory.
    addresses: HashMap<SymbolIndex, usize>,
}

/// `jmp *2(%rip)`, two bytes of padding, then the address.
const JUMP: [u8; 8] = [0xff, 0x25, 2, 0, 0, 0, 0x90, 0x90];
const ADDRESS: usize = JUMP.len();
const SLOT: usize = 16;
/// No object file of ours comes near this size.
const LARGEST: usize = 1 << 30;

impl Image {
    fn placed(file: &File<'_>) -> Result<Image, LoadError> {
        let mut sections = HashMap::new();
        let mut end = 0usize;
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags } = section.flags() else {
                continue;
            };
            let flag = |bit: u32| sh_flags & u64::from(bit) != 0;
            let name = section.name().unwrap_or("");
            if !flag(object::elf::SHF_ALLOC) || section.size() == 0 || name == ".eh_frame" {
                continue;
            }
            if flag(object::elf::SHF_WRITE) && !name.starts_with(".data.rel.ro") {
                return Err(LoadError(format!("the section `{name}` can be written")));
            }
            let size = usize::try_from(section.size()).unwrap_or(usize::MAX);
            let align = usize::try_from(section.align())
                .unwrap_or(usize::MAX)
                .max(1);
            if align > 4096 || size > LARGEST || end > LARGEST {
                return Err(LoadError(format!("the section `{name}` is too large")));
            }
            end = end.next_multiple_of(align);
            sections.insert(section.index(), end);
            end += size;
        }
        end = end.next_multiple_of(SLOT);
        let mut jumps = HashMap::new();
        let mut addresses = HashMap::new();
        for symbol in file.symbols() {
            let slots = if symbol.is_undefined() {
                &mut jumps
            } else {
                &mut addresses
            };
            slots.insert(symbol.index(), end);
            end += SLOT;
        }
        let map = MmapMut::map_anon(end.max(1)).map_err(|e| LoadError(e.to_string()))?;
        Ok(Image {
            map,
            sections,
            jumps,
            addresses,
        })
    }

    fn link(&mut self, file: &File<'_>) -> Result<(), LoadError> {
        for section in file.sections() {
            let Some(&start) = self.sections.get(&section.index()) else {
                continue;
            };
            let data = section.data().map_err(|e| LoadError(e.to_string()))?;
            self.write(start, data)?;
        }
        for symbol in file.symbols() {
            if let Some(&at) = self.jumps.get(&symbol.index()) {
                // The first symbol of every file is empty.
                let name = symbol.name().unwrap_or("");
                let address = if name.is_empty() {
                    0
                } else {
                    address_of(name)?
                };
                self.write(at, &JUMP)?;
                self.write(at + ADDRESS, &address.to_le_bytes())?;
            } else if let Some(at) = self.address(file, symbol.index()) {
                let address = self.map.as_ptr() as u64 + at as u64;
                self.write(
                    self.addresses[&symbol.index()] + ADDRESS,
                    &address.to_le_bytes(),
                )?;
            }
        }
        for section in file.sections() {
            let Some(&start) = self.sections.get(&section.index()) else {
                continue;
            };
            for (offset, relocation) in section.relocations() {
                let at = usize::try_from(offset)
                    .unwrap_or(usize::MAX)
                    .saturating_add(start);
                self.relocate(file, at, &relocation)?;
            }
        }
        Ok(())
    }

    /// Where a symbol of this file lies, from the start of the block.
    fn address(&self, file: &File<'_>, symbol: SymbolIndex) -> Option<usize> {
        let symbol = file.symbol_by_index(symbol).ok()?;
        let section = self.sections.get(&symbol.section_index()?)?;
        section.checked_add(usize::try_from(symbol.address()).ok()?)
    }

    fn relocate(
        &mut self,
        file: &File<'_>,
        at: usize,
        relocation: &object::Relocation,
    ) -> Result<(), LoadError> {
        let RelocationFlags::Elf { r_type } = relocation.flags() else {
            return Err(LoadError("a relocation that is not ELF's".into()));
        };
        let unknown = || {
            LoadError(format!(
                "a relocation of kind {r_type:?} to what is not loaded"
            ))
        };
        let (target, slot) = match relocation.target() {
            RelocationTarget::Symbol(symbol) => match self.jumps.get(&symbol) {
                Some(&jump) => (Some(jump), Some(jump)),
                None => (
                    self.address(file, symbol),
                    self.addresses.get(&symbol).copied(),
                ),
            },
            RelocationTarget::Section(section) => (self.sections.get(&section).copied(), None),
            _ => (None, None),
        };
        let addend = relocation.addend();
        let relative = |to: usize| {
            let distance = to as i64 + addend - at as i64;
            i32::try_from(distance).map_err(|_| LoadError("it is too large".into()))
        };
        match r_type {
            R_X86_64_64 => {
                // Of a function from elsewhere this is the address of the jump, which serves as well.
                let address = self.map.as_ptr() as i64 + target.ok_or_else(unknown)? as i64;
                self.write(at, &(address + addend).to_le_bytes())
            }
            R_X86_64_PC32 | R_X86_64_PLT32 => {
                let distance = relative(target.ok_or_else(unknown)?)?;
                self.write(at, &distance.to_le_bytes())
            }
            R_X86_64_GOTPCREL | R_X86_64_GOTPCRELX | R_X86_64_REX_GOTPCRELX => {
                let distance = relative(slot.ok_or_else(unknown)? + ADDRESS)?;
                self.write(at, &distance.to_le_bytes())
            }
            _ => Err(unknown()),
        }
    }

    fn write(&mut self, at: usize, bytes: &[u8]) -> Result<(), LoadError> {
        let end = at.saturating_add(bytes.len());
        let place = self.map.get_mut(at..end);
        let place = place.ok_or_else(|| LoadError("it is cut off".into()))?;
        place.copy_from_slice(bytes);
        Ok(())
    }
}

/// The address of a function of the runtime, or of a library that this process has loaded.
fn address_of(name: &str) -> Result<u64, LoadError> {
    unsafe extern "C" {
        fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    }
    if let Some(symbol) = abi::symbols().find(|s| s.name == name) {
        return Ok(symbol.address as u64);
    }
    let missing = || LoadError(format!("it refers to `{name}`, which is not there"));
    let text = CString::new(name).map_err(|_| missing())?;
    // SAFETY: the name ends with 0; a null handle stands for all that is loaded.
    let address = unsafe { dlsym(std::ptr::null_mut(), text.as_ptr()) };
    if address.is_null() {
        return Err(missing());
    }
    Ok(address as u64)
}
