//! Keys and signatures.

use crate::support::Bench;

#[test]
fn keys_and_what_is_signed() {
    let b = Bench::new();
    b.model("m.edge");
    b.refused(
        &["keygen", "nodir/k"],
        &["nodir/k", "no folder nodir", "create it"],
    );
    b.refused(&["keygen", "--signing", "nodir/k"], &["no folder nodir"]);
    b.refused(
        &["sign", "m.edge", "--key", "nokey"],
        &[
            "nokey",
            "private key",
            "`cargo xtask keygen --signing nokey`",
        ],
    );
    b.json(&["keygen", "--signing", "k.pem"]);
    b.write("letter.txt", b"hello\n");
    b.refused(
        &["sign", "letter.txt", "--key", "k.pem"],
        &["letter.txt: neither a .edge model nor a head"],
    );
    b.refused(
        &["sign", "nope", "--key", "k.pem"],
        &["nope: cannot read the model or head"],
    );
    b.refused(
        &[
            "simulate",
            "m.edge",
            "--board",
            "host",
            "--trust",
            "k.pem.pub",
        ],
        &[
            "m.edge: the model has no signature",
            "`cargo xtask sign m.edge --key",
            "m.edge.sig",
        ],
    );
}
