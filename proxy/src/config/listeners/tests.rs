use super::*;

fn read(text: &str) -> Result<Config, String> {
    Config::from_text("m.toml", text, &|_| None).map_err(|errors| errors.to_string())
}

#[test]
fn listeners_differ_and_a_relay_answers_200_and_nothing_by_default() {
    let config = read(
        "[[listener]]\naddress = \":8081\"\nmode = \"relay\"\n\
         [[listener]]\naddress = \"127.0.0.1:8082\"\nmode = \"relay\"\nstatus = 202\nbody = \"taken\"\n\
         queue_size = 7\nconcurrency = 1\n\
         [[listener]]\naddress = \"127.0.0.1:8083\"\n",
    );
    let config = config.unwrap();
    let of = |at: usize| &config.listeners[at];
    assert!(of(0).listen.dual_stack);
    let relay = relay::Config {
        status: StatusCode::OK,
        body: "".into(),
        queue_size: 256,
        concurrency: 64,
        spool: None,
    };
    assert_eq!(of(0).mode, Mode::Relay(relay));
    let relay = relay::Config {
        status: StatusCode::ACCEPTED,
        body: "taken".into(),
        queue_size: 7,
        concurrency: 1,
        spool: None,
    };
    assert_eq!(of(1).mode, Mode::Relay(relay));
    assert_eq!(of(2).mode, Mode::Proxy);
    let place = "listener.127.0.0.1:8082.status";
    let status = config.settings.get(place).unwrap();
    assert_eq!((status.value.as_u64(), status.restart), (Some(202), true));
}

#[test]
fn each_fault_is_told_with_its_line_and_what_is_allowed() {
    let relay = "[[listener]]\naddress = \":8081\"\nmode = \"relay\"\n";
    for (text, expected) in [
        (
            "[[listener]]\nmode = \"relay\"\n",
            "m.toml:1:1: listener.address: is missing; allowed is an address",
        ),
        (
            "[[listener]]\naddress = \"x\"\n",
            "m.toml:2:11: listener.address = \"x\": invalid socket address syntax",
        ),
        (
            "[[listener]]\naddress = \":1\"\nmode = \"reply\"\n",
            "m.toml:3:8: listener.mode = \"reply\": is unknown; allowed is proxy or relay",
        ),
        (
            "[[listener]]\naddress = \":1\"\nname = \"admin\"\n",
            "m.toml:3:8: listener.name = \"admin\": is the socket of another; allowed is 1 to 64 letters",
        ),
        (
            "[[listener]]\naddress = \":1\"\nname = \"a:b\"\n",
            "m.toml:3:8: listener.name = \"a:b\": has other characters",
        ),
        (
            "[[listener]]\naddress = \":1\"\nname = \"a\"\n[[listener]]\naddress = \":2\"\nname = \"a\"\n",
            "m.toml:6:8: listener.name = \"a\": is that of another listener; allowed is a name for each",
        ),
        (
            "[[listener]]\naddress = \":1\"\nstatus = 204\n",
            "m.toml:3:10: listener.status = 204: is for a relay, and this listener is none; allowed is to leave it out, or mode = \"relay\"",
        ),
        (
            &format!("{relay}status = 199\n"),
            "listener.status = 199: out of range; allowed is a whole number from 200 to 599",
        ),
        (&format!("{relay}status = 600\n"), "listener.status = 600: out of range"),
        (
            &format!("{relay}status = 204\nbody = \"x\"\n"),
            "m.toml:5:8: listener.body = \"x\": answers with status 204 have no body; allowed is to leave it out, or another status",
        ),
        (&format!("{relay}queue_size = 0\n"), "listener.queue_size = 0: too small"),
        (
            &format!("{relay}tls = true\n"),
            "m.toml:4:7: listener.tls = true: there is no certificate",
        ),
        (
            "[[listener]]\naddress = \":8080\"\n",
            "m.toml:2:11: listener.address = \":8080\": is listen.address, too; allowed is another address",
        ),
        (
            &format!("{relay}{relay}"),
            "m.toml:5:11: listener.address = \":8081\": is listener.address, too",
        ),
        (&relay.replace(":8081", ":8080"), "is listen.address, too"),
        (&"[[listener]]\naddress = \":0\"\n".repeat(17), "17 listeners; allowed is 16"),
    ] {
        let errors = read(text).unwrap_err();
        assert!(errors.contains(expected), "{text}\n{errors}");
    }
}

#[test]
fn each_fault_of_a_spool_is_told() {
    let relay = "[[listener]]\naddress = \":8081\"\nmode = \"relay\"\n";
    for (text, expected) in [
        (
            "[[listener]]\naddress = \":1\"\nspool = \"s\"\n",
            "m.toml:3:9: listener.spool = \"s\": is for a relay",
        ),
        (
            &format!("{relay}spool = \"\"\n"),
            "m.toml:4:9: listener.spool = \"\": is empty; allowed is the path of a folder",
        ),
        (
            &format!("{relay}spool = \"s\"\nspool_bytes = 1000\n"),
            "m.toml:5:15: listener.spool_bytes = 1000: too small; allowed is a whole number of bytes from 1048576",
        ),
        (
            &format!("{relay}spool_bytes = 2000000\n"),
            "m.toml:4:15: listener.spool_bytes = 2000000: there is no spool",
        ),
        (
            &format!("{relay}spool = \"s\"\n{}spool = \"s\"\n", relay.replace(":8081", ":8082")),
            "m.toml:8:9: listener.spool = \"s\": is that of another listener; allowed is a folder for each",
        ),
        (
            &format!("{relay}spool = \"s\"\n{}spool = \"./s/\"\n", relay.replace(":8081", ":8082")),
            "m.toml:8:9: listener.spool = \"./s/\": is that of another listener; allowed is a folder for each",
        ),
    ] {
        let errors = read(text).unwrap_err();
        assert!(errors.contains(expected), "{text}\n{errors}");
    }
}

#[test]
fn a_spool_is_beside_the_file_and_has_a_bound() {
    let relay = "[[listener]]\naddress = \":8081\"\nmode = \"relay\"\nspool = \"sp/ool\"\n";
    for (more, bytes) in [("", 1 << 30), ("spool_bytes = 2000000\n", 2_000_000)] {
        let text = format!("{relay}{more}");
        let config = Config::from_text("/etc/mirrorlab/m.toml", &text, &|_| None).unwrap();
        let Mode::Relay(relay) = &config.listeners[0].mode else { panic!("no relay") };
        let folder = "/etc/mirrorlab/sp/ool".into();
        assert_eq!(relay.spool, Some(spool::Config { folder, bytes }));
    }
}
