//! `drumfire quick` against a target that counts.

use crate::drumfire::{Folder, listener, target};
use std::io::{Read, Write};

#[test]
fn so_many_requests_and_connections_as_asked() {
    let (folder, target) = (Folder::new(), target());
    let url = target.url();
    let ended = folder
        .run(&["quick", &url, "-n", "100", "-c", "5", "--json", "out.json"])
        .expect_code(0);
    assert_eq!(
        (target.stats().requests, target.stats().connections),
        (100, 5)
    );
    assert!(
        ended.stdout.contains("answered      100 (100.00%)"),
        "{}",
        ended.stdout
    );
    let summary = folder.result("out.json");
    assert_eq!(summary.facts.planned, Some(100));
    assert_eq!(summary.total.iterations.completed, 100);
    assert_eq!(summary.facts.stages[0].end_us, summary.facts.duration_us);
}

#[test]
fn so_many_requests_as_a_rate_makes() {
    let table: [(&[&str], u64); 3] = [
        (&["-q", "50", "-z", "1s"], 50),
        (&["-q", "100", "-n", "30"], 30),
        (&["-q", "40", "-n", "400", "-z", "0.5"], 20),
    ];
    for (options, requests) in table {
        let (folder, target) = (Folder::new(), target());
        let url = target.url();
        let command = ["quick", &url, "-c", "4", "--disable-keepalive"];
        folder.run(&[&command[..], options].concat()).expect_code(0);
        assert_eq!(target.stats().requests, requests, "{options:?}");
    }
}

/// What arrives on the wire, up to the end of the body.
fn received(folder: &Folder, options: &[&str]) -> String {
    let (listener, url) = listener();
    let url = format!("{url}/path?a=b");
    let command = ["quick", &url, "-n", "1", "-c", "1"];
    let running = folder.start(&[&command[..], options].concat());
    let (mut connection, _) = listener.accept().expect("the binary connects");
    let mut request = vec![0; 4096];
    let length = connection.read(&mut request).expect("a request comes");
    drop(connection);
    running.end();
    String::from_utf8_lossy(&request[..length]).into_owned()
}

#[test]
fn requests_are_made_as_told() {
    let folder = Folder::new();
    folder.write("body.txt", "from a file");
    let table: [(&[&str], &[&str]); 5] = [
        (&[], &["GET /path?a=b HTTP/1.1\r\nuser-agent: drumfire/"]),
        (
            &["-m", "PUT", "-H", "X-One: 1", "-H", "User-Agent:me"],
            &["PUT /path", "x-one: 1\r\n", "user-agent: me\r\n"],
        ),
        (
            &["-d", "hello", "-T", "text/plain"],
            &[
                "POST /path",
                "content-type: text/plain\r\n",
                "\r\n\r\nhello",
            ],
        ),
        (
            &["-D", "body.txt"],
            &["content-length: 11\r\n", "\r\n\r\nfrom a file"],
        ),
        (
            &["-a", "me:secret"],
            &["authorization: Basic bWU6c2VjcmV0\r\n"],
        ),
    ];
    for (options, parts) in table {
        let request = received(&folder, options);
        for part in parts {
            assert!(
                request.contains(part),
                "{options:?}: {part:?} is not in {request:?}"
            );
        }
    }
}

#[test]
fn secrets_in_a_url_stay_secret() {
    let (folder, target) = (Folder::new(), target());
    let url = target.url().replace("http://", "http://me:hunter2@");
    let ended = folder
        .run(&["quick", &url, "-n", "2", "--report-dir", "out"])
        .expect_code(0);
    let files = folder.list("out");
    let texts = files.iter().map(|name| folder.read(&format!("out/{name}")));
    for text in texts.chain([ended.stdout, ended.stderr]) {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn what_is_no_url_is_refused() {
    for url in ["example.com", "ftp://example.com", "/path"] {
        let ended = Folder::new().run(&["quick", url]).expect_code(2);
        assert!(
            ended.stderr.contains("hint: it starts with http"),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn connections_come_from_the_addresses_given_in_turn() {
    let (folder, (listener, url)) = (Folder::new(), listener());
    let sources = ["--local-ip", "127.0.0.2", "--local-ip", "127.0.0.3"];
    let command = ["quick", &url, "-n", "4", "-c", "4", "--shards", "1"];
    let running = folder.start(&[&command[..], &sources].concat());
    let mut connections: Vec<_> = (0..4)
        .map(|_| listener.accept().expect("the binary connects"))
        .collect();
    for (connection, _) in &mut connections {
        let read = connection.read(&mut [0; 4096]);
        assert!(read.is_ok_and(|bytes| bytes > 0), "a request comes");
        connection
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .expect("the binary listens");
    }
    assert_eq!(running.end().code, Some(0));
    let mut seen: Vec<String> = connections
        .iter()
        .map(|(_, peer)| peer.ip().to_string())
        .collect();
    seen.sort();
    assert_eq!(seen, ["127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.3"]);
}
