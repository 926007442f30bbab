
#[test]
fn callbacks_need_records_of_functions() {
    let loops = [
        (0xb7, 1, 0, 0, 1),
        (0x18, 2, 4, 0, 5),
        (0, 0, 0, 0, 0),
        (0xb7, 3, 0, 0, 0),
        (0xb7, 4, 0, 0, 0),
        (0x85, 0, 0, 0, 181),
        EXIT,
        R0,
        EXIT,
    ];
    assert_eq!(answer(&loops), "missing btf func_info");
}
