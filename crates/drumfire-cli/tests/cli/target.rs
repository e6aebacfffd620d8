//! `drumfire target` as a process of its own.

use crate::drumfire::Folder;

#[test]
fn it_says_where_it_listens_and_ends_when_asked() {
    let folder = Folder::new();
    let mut target = folder.start(&["target", "--listen", "127.0.0.1:0", "--workers", "1"]);
    let line = target.wait_for("listening on ");
    let url = line.trim_start_matches("listening on ");
    let ended = folder
        .run(&["quick", url, "-n", "20", "--fail-on-errors"])
        .expect_code(0);
    assert!(
        ended.stdout.contains("\n  200                20\n"),
        "{}",
        ended.stdout
    );
    target.signal(libc::SIGTERM);
    target.end().expect_code(0);
}
