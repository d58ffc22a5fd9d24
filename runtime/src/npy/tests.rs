//! npy and npz against what NumPy writes, round trips, and damaged files.

use super::*;
use proptest::prelude::*;

fn array(descr: &str, order: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((text.len() as u16).to_le_bytes());
    file.extend(text.as_bytes());
    file.extend(data);
    file
}

fn read_bytes(bytes: &[u8]) -> Result<Tensor> {
    read(bytes, Path::new("x.npy"), "")
}

#[test]
fn the_header_is_the_one_that_numpy_writes() {
    let header = header::write(DType::F32, &[2, 3]).unwrap();
    assert_eq!(header.len(), 128);
    assert!(header.starts_with(
        b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }  "
    ));
    let text = |shape: &[usize]| {
        String::from_utf8_lossy(&header::write(DType::Bool, shape).unwrap()).into_owned()
    };
    assert!(text(&[]).contains("'|b1', 'fortran_order': False, 'shape': (), }"));
    assert!(text(&[4]).contains("'shape': (4,), }"));
}

#[test]
fn byte_order_and_element_order() {
    let swapped = read_bytes(&array(">i2", "False", "(2,)", &[0, 1, 1, 0])).unwrap();
    assert_eq!(swapped.as_slice::<i16>().unwrap(), [1, 256]);
    let columns = read_bytes(&array("|u1", "True", "(2, 3)", &[1, 4, 2, 5, 3, 6])).unwrap();
    assert_eq!(columns.as_slice::<u8>().unwrap(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(columns.shape(), [2, 3]);
    let scalar = read_bytes(&array("|u1", "True", "()", &[7])).unwrap();
    assert_eq!(scalar.as_slice::<u8>().unwrap(), [7]);
}

#[test]
fn what_is_wrong_is_said() {
    let cases = [
        (b"".to_vec(), "ends within its header"),
        (b"\x93NUMPX\x01\x00".to_vec(), "does not start as"),
        (b"\x93NUMPY\x09\x00\x00\x00".to_vec(), "version 9"),
        (
            b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec(),
            "would have 4294967295 bytes",
        ),
        (
            array("<c8", "False", "(1,)", &[0; 8]),
            "dtype `<c8` is not supported",
        ),
        (
            array("|O", "False", "(1,)", &[0; 8]),
            "dtype `|O` is not supported",
        ),
        (
            array("<f4", "Maybe", "(1,)", &[0; 4]),
            "where `False` belongs",
        ),
        (array("<f4", "False", "(-1,)", &[0; 4]), "bad shape"),
        (
            array("<f4", "False", "(99999999999999999999,)", &[0; 4]),
            "bad shape",
        ),
        (
            array("<f4", "False", "(2,)", &[0; 4]),
            "takes 8 bytes of data, there are fewer",
        ),
        (array("<f4", "False", "(1,)", &[0; 5]), "there are more"),
        (
            array("<f4", "False", "(4611686018427387904, 4)", &[]),
            "does not fit in memory",
        ),
        (
            array("<f4", "False", "(1000000000000,)", &[]),
            "there are fewer",
        ),
        (array("|b1", "False", "(1,)", &[2]), "is not a bool"),
        (
            array("<f4", "False", &format!("({})", "1, ".repeat(100)), &[0; 4]),
            "rank is above",
        ),
    ];
    for (file, expected) in cases {
        let error = read_bytes(&file)
            .err()
            .map(|e| e.to_string())
            .unwrap_or_default();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn archives_round_trip_stored_and_deflated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npz");
    let arrays = BTreeMap::from([
        (
            "a".to_owned(),
            Tensor::from_slice(&[2], &[1.5f32, -2.0]).unwrap(),
        ),
        (
            "b.c".to_owned(),
            Tensor::zeros(DType::I64, &[0, 3]).unwrap(),
        ),
    ]);
    save_npz(&path, &arrays).unwrap();
    let first = std::fs::read(&path).unwrap();
    assert_eq!(load_npz(&path).unwrap(), arrays);
    assert_eq!(load_from_npz(&path, "a").unwrap(), arrays["a"]);
    save_npz(&path, &arrays).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), first);
    let error = load_from_npz(&path, "z").unwrap_err().to_string();
    assert!(
        error.ends_with("no entry `z`; the file has a, b.c"),
        "{error}"
    );

    let mut deflated = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    deflated.start_file("w.npy", options).unwrap();
    deflated
        .write_all(&array("|u1", "False", "(1000,)", &[3; 1000]))
        .unwrap();
    let bytes = deflated.finish().unwrap().into_inner();
    assert!(bytes.len() < 500);
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(
        load_npz(&path).unwrap()["w"].as_slice::<u8>().unwrap(),
        [3; 1000]
    );
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(matches!(load_npz(&path), Err(Error::Format { .. })));
}

#[test]
fn bf16_is_refused() {
    let path = Path::new("/nonexistent/x.npy");
    let tensor = Tensor::zeros(DType::BF16, &[1]).unwrap();
    assert!(matches!(save(path, &tensor), Err(Error::Format { .. })));
}

proptest! {
    #[test]
    fn arrays_round_trip(shape in prop::collection::vec(0usize..4, 0..4)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        let count = shape.iter().product();
        let values: Vec<f64> = (0..count).map(|i| (i % 2) as f64).collect();
        for dtype in DType::ALL.into_iter().filter(|&d| d != DType::BF16) {
            let tensor = Tensor::from_f64(dtype, &shape, &values).unwrap();
            save(&path, &tensor).unwrap();
            prop_assert_eq!(load(&path).unwrap(), tensor);
        }
    }

    #[test]
    fn damaged_arrays_do_not_panic(position in 0usize..90, byte: u8, cut in 0usize..100) {
        let mut file = array("<f4", "False", "(1, 2)", &[0; 8]);
        if let Some(at) = file.get_mut(position) {
            *at = byte;
        }
        file.truncate(cut);
        let _ = read_bytes(&file);
    }
}
