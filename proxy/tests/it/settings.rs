//! The settings file, from the command line to what runs.

use std::path::Path;

use crate::certificates::TempFile;
use crate::process::{command, started};
use crate::support::{client, fixed};

fn run(arguments: &[&str], settings: &[(&str, &str)]) -> (i32, String, String) {
    let output = command(settings).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_good_file_is_told_in_one_line_and_a_bad_one_by_all_its_errors() {
    let good = TempFile::new("[[candidate]]\nname = \"v2\"\nurl = \"http://a\"\n");
    let (code, said, errors) = run(&["check", good.path()], &[]);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert_eq!(said, format!("{}: good; 0 routes, 1 candidate (v2)\n", good.path()));
    let bad = TempFile::new("[mirror]\nshar = 1\n[log]\nformat = \"xml\"\n");
    for arguments in [&["check", bad.path()][..], &["--config", bad.path(), "check"]] {
        let (code, said, errors) = run(arguments, &[("MIRROR_TIMEOUT", "0")]);
        assert_eq!((code, said.as_str()), (2, ""));
        for part in [
            "MIRROR_TIMEOUT=\"0\": zero",
            ":2:1: mirror.shar: is no known name",
            "did you mean share?",
            ":4:10: log.format = \"xml\": is unknown; allowed is text or json",
        ] {
            assert!(errors.contains(part), "{part}: {errors}");
        }
    }
    let (code, _, errors) = run(&["check", "/nowhere.toml"], &[]);
    assert!(code == 2 && errors.contains("--config /nowhere.toml: cannot be read"), "{errors}");
    assert_eq!(run(&["check"], &[("MIRROR_FRACTION", "2")]).0, 2);
    assert!(run(&["check"], &[]).1.starts_with("the environment: good"));
}

#[test]
fn what_is_allowed_and_probably_not_meant_is_a_warning() {
    let file = TempFile::new("[[route]]\nname = \"a\"\n[[route]]\nname = \"b\"\n");
    let (code, _, errors) = run(&["check", file.path()], &[("MIRROR_FRACTON", "1")]);
    assert_eq!(code, 0);
    assert!(errors.contains("warning: ") && errors.contains("no request comes to the route \"b\""));
    let text = "[[route]]\nname = \"a\"\nshare = 0\nmatch = { path = { prefix = \"/a\" } }\n\
                [[route]]\nname = \"b\"\nmatch = { path = { exact = \"/a/b\" }, method = \"GET\" }\n";
    let file = TempFile::new(text);
    let (code, _, told) = run(&["check", file.path()], &[("MIRROR_FRACTION", "0")]);
    assert_eq!(code, 0);
    for part in [
        "warning: nothing is mirrored",
        ":5: no request comes to the route \"b\": the route \"a\" at",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(errors.contains("MIRROR_FRACTON (did you mean MIRROR_FRACTION?): is no"), "{errors}");
}

#[test]
fn a_file_that_is_not_utf_8_is_told_with_the_place() {
    let of = |name: &str, bytes: &[u8]| {
        let path = std::env::temp_dir().join(format!("mirrorlab-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        let (code, _, errors) = run(&["check", path.to_str().unwrap()], &[]);
        std::fs::remove_file(path).unwrap();
        assert_eq!(code, 2);
        errors
    };
    let latin = of("latin-1", b"# caf\xc3\xa9\n# \xc3\xa9 caf\xe9 s3cret\n");
    assert!(latin.contains(": is not UTF-8 at line 2, column 8 (byte 0xe9;"), "{latin}");
    assert!(latin.contains("allowed is the path of a TOML file in UTF-8"), "{latin}");
    let wide = of("utf-16", b"\xff\xfe[\0m\0");
    assert!(wide.contains("at line 1, column 1 (byte 0xff; it seems to be UTF-16)"), "{wide}");
}

#[test]
fn a_request_is_explained() {
    let file = TempFile::new(
        "[[route]]\nname = \"a\"\nshare = 1\nmatch = { cookie = { name = \"b\", exact = \"1\" } }\n",
    );
    let arguments = ["check", file.path(), "--explain", "GET /api/v2/x", "-H", "cookie: b=1"];
    let (code, said, _) = run(&arguments, &[]);
    assert_eq!(code, 0);
    let (route, share) =
        (format!("route \"a\" ({}:1)", file.path()), format!("share = 1 ({}:3)", file.path()));
    assert!(said.contains(&route) && said.contains(&share), "{said}");
}

#[test]
fn the_schema_is_printed() {
    let (code, said, _) = run(&["--print-schema"], &[]);
    assert_eq!(code, 0);
    let schema: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(schema["properties"]["mirror"]["properties"]["share"]["default"], 0.25);
}

#[tokio::test]
async fn a_proxy_runs_by_its_file_and_the_environment_goes_over_it() {
    let baseline = fixed("{}").await.addr;
    let text = format!(
        "[listen]\naddress = \"127.0.0.1:0\"\n[baseline]\nurl = \"http://{baseline}\"\n\
         [log]\nformat = \"text\"\n[mirror]\nshare = 0\n"
    );
    let file = TempFile::new(&text);
    let mut command = command(&[("LOG_FORMAT", "json"), ("MIRROR_CONFIG", "/nowhere.toml")]);
    let process = started(command.args(["--config", file.path()])).await;
    let answer = client().get(format!("http://{}/", process.addr())).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "{}");
}

#[test]
fn files_that_a_file_names_are_beside_it() {
    let folder = std::env::temp_dir().join(format!("mirrorlab-beside-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), pair.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), pair.signing_key.serialize_pem()).unwrap();
    let file = folder.join("m.toml");
    std::fs::write(&file, "[listen]\ntls_cert = \"cert.pem\"\ntls_key = \"key.pem\"\n").unwrap();
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    assert_eq!(run(&["check", &path(&file)], &[]).0, 0);
    std::fs::write(&file, "[listen]\ntls_cert = \"cert.pem\"\ntls_key = \"other.pem\"\n").unwrap();
    let (code, _, errors) = run(&["check", &path(&file)], &[]);
    assert!(
        code == 2 && errors.contains("listen.tls_key = \"other.pem\": cannot be read"),
        "{errors}"
    );
    std::fs::remove_dir_all(folder).unwrap();
}
