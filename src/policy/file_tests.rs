//! Tests of reading and writing policy files.

use proptest::prelude::*;

use super::*;
use crate::wire::write_frame;

fn parse(text: &str) -> (PolicyFile, Vec<Warning>) {
    PolicyFile::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn policy(body: &str) -> String {
    format!("<cross-domain-policy>{body}</cross-domain-policy>")
}

#[test]
fn reads_the_file_of_the_flash_references() {
    let text = r#"
        <?xml version="1.0"?>
        <!DOCTYPE cross-domain-policy SYSTEM "http://www.adobe.com/xml/dtds/cross-domain-policy.dtd">
        <!-- who may come in -->
        <cross-domain-policy xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="http://www.adobe.com/xml/schemas/PolicyFile.xsd">
            <site-control permitted-cross-domain-policies='master-only' />
            <allow-access-from domain="*" to-ports="507" />
            <allow-access-from domain="*.foo.com" to-ports="507,516" secure="false"></allow-access-from>
            <allow-access-from domain="www.foo.com" to-ports="507,516-523" secure="true" />
        </cross-domain-policy>
    "#;
    let (file, warnings) = parse(text);
    assert_eq!(warnings, []);
    assert_eq!(
        file.to_string(),
        policy(concat!(
            r#"<site-control permitted-cross-domain-policies="master-only"/>"#,
            r#"<allow-access-from domain="*" to-ports="507"/>"#,
            r#"<allow-access-from domain="*.foo.com" to-ports="507,516"/>"#,
            r#"<allow-access-from domain="www.foo.com" to-ports="507,516-523" secure="true"/>"#,
        ))
    );
    let secure: Vec<bool> = file.grants.iter().map(|grant| grant.secure).collect();
    assert_eq!(secure, [false, false, true]);
}

#[test]
fn is_sent_without_declaration_or_newline() {
    let ports = PortList::from(1024);
    let file = PolicyFile::granting(["foo.com", "localhost", "foo.com"].map(|text| text.parse().unwrap()), &ports);
    let mut sent = Vec::new();
    write_frame(&file, &mut sent);
    let expected = policy(concat!(
        r#"<allow-access-from domain="foo.com" to-ports="1024"/>"#,
        r#"<allow-access-from domain="localhost" to-ports="1024"/>"#,
    ));
    assert_eq!(String::from_utf8(sent).unwrap(), expected + "\0");
    assert_eq!(PolicyFile::default().to_string(), "<cross-domain-policy/>");
}

#[test]
fn tolerates_what_surrounds_and_declares_the_file() {
    let plain = policy(r#"<allow-access-from domain="*" to-ports="*"/>"#);
    let rows = [
        plain.clone(),
        format!("\u{feff}{plain}"),
        format!("\n\u{feff} {plain}\n"),
        format!("{plain}\0"),
        format!("{plain}\n\0"),
        format!("\r\n\t<?xml version='1.0' encoding='UTF-8'?>\n{plain}"),
        format!("<!DOCTYPE cross-domain-policy SYSTEM \"/xml/dtds/cross-domain-policy.dtd\">{plain}"),
        format!("<!DOCTYPE cross-domain-policy>{plain}"),
        format!("<!DOCTYPE cross-domain-policy [<!ELEMENT cross-domain-policy (allow-access-from*)>]>{plain}"),
        format!("<?pi?><!-- c -->{plain}<!-- c -->"),
        plain.replace("<cross-domain-policy>", "<cross-domain-policy xmlns='urn:x'>"),
        plain.replace("<allow", "<!-- c --><?pi?>\n<allow"),
    ];
    for text in rows {
        let (file, warnings) = parse(&text);
        assert_eq!((file.to_string(), warnings), (plain.clone(), vec![]), "{text}");
    }
}

#[test]
fn says_what_players_ignore() {
    let good = r#"<allow-access-from domain="a" to-ports="1"/>"#;
    let rows: &[(&str, &str, &[&str])] = &[
        (r#"<allow-access-from to-ports="1"/>"#, "", &["no `domain`"]),
        (r#"<allow-access-from domain="a"/>"#, "", &["no `to-ports`"]),
        (r#"<allow-access-from domain="" to-ports="1"/>"#, "", &["the domain is empty"]),
        (r#"<allow-access-from domain="10.*" to-ports="1"/>"#, "", &["take no wildcard"]),
        (r#"<allow-access-from domain="a" to-ports=""/>"#, "", &["the list of ports is empty"]),
        (r#"<allow-access-from domain="a" to-ports="1,x"/>"#, "", &["\"x\" is no number"]),
        (r#"<allow-access-from domain="a" to-ports="1" secure="yes"/>"#, good, &["secure=\"yes\" counts as \"false\""]),
        (r#"<allow-access-from domain="a" to-ports="1" to-port="2"/>"#, good, &["`to-port` of <allow-access-from>"]),
        (r#"<allow-access-from domain="a" to-ports="1">x<b/></allow-access-from>"#, good, &["ignore text", "<b>"]),
        (r#"<allow-http-request-headers-from domain="*" headers="*"/>"#, "", &["for web servers"]),
        (r#"<allow-access-from-identity/>"#, "", &["<allow-access-from-identity> in a socket policy"]),
        (r#"<allow-everything/>"#, "", &["<allow-everything>: policy files have no such"]),
        (r#"<x><allow-access-from domain="a" to-ports="1"/></x>"#, "", &["<x>"]),
        (r#"hello"#, "", &["ignore text"]),
        (r#"<site-control/>"#, "", &["says nothing"]),
        (
            r#"<site-control permitted-cross-domain-policies="ALL" x=""/>"#,
            r#"<site-control permitted-cross-domain-policies="none"/>"#,
            &["`x` of <site-control>", "\"ALL\" counts as \"none\""],
        ),
        (
            r#"<site-control permitted-cross-domain-policies="by-content-type"/>"#,
            r#"<site-control permitted-cross-domain-policies="by-content-type"/>"#,
            &["web and FTP servers"],
        ),
        (
            r#"<site-control permitted-cross-domain-policies="by-ftp-filename"/>"#,
            r#"<site-control permitted-cross-domain-policies="by-ftp-filename"/>"#,
            &["\"by-ftp-filename\" is for"],
        ),
        (
            r#"<site-control permitted-cross-domain-policies="master-only"/><site-control permitted-cross-domain-policies="all"/>"#,
            r#"<site-control permitted-cross-domain-policies="master-only"/>"#,
            &["more than one <site-control>"],
        ),
        (
            r#"<site-control permitted-cross-domain-policies="all"/><site-control permitted-cross-domain-policies="none"/>"#,
            r#"<site-control permitted-cross-domain-policies="none"/>"#,
            &["more than one <site-control>"],
        ),
    ];
    for (body, left, words) in rows {
        let (file, warnings) = parse(&format!("\n{}", policy(&format!("\n{body}\n"))));
        let expected = if left.is_empty() { "<cross-domain-policy/>".to_owned() } else { policy(left) };
        assert_eq!(file.to_string(), expected, "{body}");
        let texts: Vec<String> = warnings.iter().map(Warning::to_string).collect();
        assert_eq!(texts.len(), words.len(), "{body}: {texts:?}");
        for (text, words) in texts.iter().zip(*words) {
            assert!(text.contains(words), "{body}: {text}");
            assert!(text.starts_with("line 3: ") || text.contains("text"), "{body}: {text}");
        }
    }
}

#[test]
fn the_file_of_a_web_server_opens_every_port() {
    let text = policy(concat!(
        r#"<site-control permitted-cross-domain-policies="by-content-type"/>"#,
        r#"<allow-access-from domain="a"/>"#,
        r#"<allow-access-from domain="b" to-ports="x"/>"#,
        r#"<allow-access-from domain="c" to-ports="507" secure="true"/>"#,
        r#"<allow-http-request-headers-from domain="*" headers="*"/>"#,
    ));
    let (file, warnings) = PolicyFile::parse_of_web_server(&text).unwrap();
    assert_eq!(warnings, []);
    let ports: Vec<bool> = file.grants.iter().map(|grant| grant.ports.is_all()).collect();
    assert_eq!(ports, [true, true, true]);
    let (_, warnings) = PolicyFile::parse_of_web_server(&policy("<allow-access-from/><x/>")).unwrap();
    assert_eq!(warnings.len(), 2);
}

#[test]
fn every_warning_has_its_line() {
    let text = "<?xml version='1.0'?>\n\n<cross-domain-policy>\n<a/>\n\n<allow-access-from>\n<b/>\n<c/></allow-access-from>\n<d/>\n</cross-domain-policy>";
    for (before, first) in [("", 4), ("\n \n", 6)] {
        let lines: Vec<u32> = parse(&format!("{before}{text}")).1.iter().map(|warning| warning.line).collect();
        // The entry is complained about after what is in it.
        assert_eq!(lines, [0, 3, 4, 2, 5].map(|line| first + line));
    }
}

#[test]
fn every_site_control_is_read_and_has_its_meaning() {
    let rows = [
        ("none", SiteControl::None, false, false),
        ("master-only", SiteControl::MasterOnly, true, false),
        ("all", SiteControl::All, true, true),
        ("by-content-type", SiteControl::ByContentType, true, false),
        ("by-ftp-filename", SiteControl::ByFtpFilename, true, false),
    ];
    for (text, value, master, others) in rows {
        let text = policy(&format!(r#"<site-control permitted-cross-domain-policies="{text}"/>"#));
        let (file, _) = parse(&text);
        assert_eq!(file.site_control, Some(value));
        assert_eq!(file.to_string(), text);
        assert_eq!((value.permits_master(), value.permits_other_ports()), (master, others), "{text}");
    }
}

#[test]
fn says_where_a_file_is_wrong() {
    let not_xml = "is not XML";
    let rows = [
        ("", 1, 1, not_xml),
        ("hello", 1, 1, not_xml),
        ("<cross-domain-policy>", 1, 1, "never closed"),
        ("\n\n  <cross-domain-policy>\n <x></y></cross-domain-policy>", 4, 5, not_xml),
        ("\n  <a", 2, 3, not_xml),
        ("\n  <a b=c", 2, 8, not_xml),
        ("<policy/>", 1, 1, "but this one with <policy>"),
        ("\n <!-- c -->\n <policy/>", 3, 2, "<policy>"),
        ("\n  <policy/>", 2, 3, "<policy>"),
        ("\n  <!DOCTYPE a [<!ENTITY b 'c'>]><cross-domain-policy/>", 2, 16, "it declares entities"),
        ("<!DOCTYPE é [\né<!ENTITY b 'c'>]><cross-domain-policy/>", 2, 2, "it declares entities"),
        ("<cross-domain-policy>&b;</cross-domain-policy>", 1, 22, not_xml),
        ("<cross-domain-policy/>\0\0", 1, 23, not_xml),
    ];
    for (text, line, column, words) in rows {
        let error = PolicyFile::parse(text).expect_err(text);
        assert_eq!((error.line, error.column), (line, column), "{text}: {error}");
        assert!(error.to_string().contains(words), "{text}: {error}");
        assert!(!error.to_string().contains(" at "), "{error}");
        assert!(error.to_string().starts_with(&format!("line {line}, column {column}: ")), "{error}");
    }
}

#[test]
fn refuses_what_is_made_to_be_expensive() {
    let grants = |n| policy(&r#"<allow-access-from domain="a" to-ports="1"/>"#.repeat(n));
    assert_eq!(parse(&grants(8_000)).0.grants.len(), 8_000);
    let namespaces = |n| policy(&"<a xmlns='urn:a'/>".repeat(n));
    assert_eq!(parse(&namespaces(NAMESPACES_MAX)).1.len(), NAMESPACES_MAX);
    let big = "x".repeat(30_000);
    let rows = [
        grants(10_000),
        policy(&"<a>".repeat(20_000)),
        namespaces(NAMESPACES_MAX + 1),
        format!("<!DOCTYPE a [<!ENTITY b '{big}'>]>{}", policy(&"&b;".repeat(7_000))),
        format!("<!DOCTYPE a [<!ENTITY b 'x'><!ENTITY c '&b;&b;&b;&b;'>]>{}", policy("&c;")),
    ];
    for text in rows {
        let error = PolicyFile::parse(&text).expect_err(&text[..40]);
        assert!(matches!(error.kind, PolicyErrorKind::TooComplex(_) | PolicyErrorKind::NotXml(_)), "{error}");
    }
    let error = PolicyFile::parse(&grants(10_000)).unwrap_err();
    assert!(matches!(error.kind, PolicyErrorKind::TooComplex(_)), "{error}");
    assert!(error.to_string().contains("is not read"), "{error}");
}

#[test]
fn a_file_from_an_open_port_opens_no_restricted_port() {
    let text = policy(concat!(
        r#"<site-control permitted-cross-domain-policies="all"/>"#,
        r#"<allow-access-from domain="a" to-ports="80,1000-2000,5000" secure="true"/>"#,
        r#"<allow-access-from domain="b" to-ports="80,1-1023"/>"#,
        r#"<allow-access-from domain="c" to-ports="*"/>"#,
        r#"<allow-access-from domain="d" to-ports="1024-65535"/>"#,
    ));
    let (file, _) = parse(&text);
    for port in [1, 843, 1023] {
        assert_eq!(file.restricted_to_serving_port(port), (file.clone(), vec![]));
    }
    for port in [1024, 65535] {
        let (restricted, warnings) = file.restricted_to_serving_port(port);
        assert_eq!(
            restricted.to_string(),
            policy(concat!(
                r#"<site-control permitted-cross-domain-policies="all"/>"#,
                r#"<allow-access-from domain="a" to-ports="1024-2000,5000" secure="true"/>"#,
                r#"<allow-access-from domain="c" to-ports="*"/>"#,
                r#"<allow-access-from domain="d" to-ports="1024-65535"/>"#,
            ))
        );
        let texts: Vec<String> = warnings.iter().map(Warning::to_string).collect();
        assert_eq!(texts.len(), 2);
        for (text, domain) in texts.iter().zip(["for a:", "for b:"]) {
            assert!(text.starts_with("the ports below 1024") && text.contains(domain), "{text}");
            assert!(text.contains(&format!("port {port} ")), "{text}");
        }
    }
}

fn any_domain() -> impl Strategy<Value = DomainPattern> {
    let text = prop_oneof![
        Just("*".to_owned()),
        "(\\*\\.)?[a-zA-Zéß_-][a-zA-Z0-9é_-]{0,9}(\\.[a-z]{1,5}){0,3}\\.?",
        any::<std::net::IpAddr>().prop_map(|address| address.to_string()),
    ];
    text.prop_map(|text| text.parse().unwrap())
}

fn any_ports() -> impl Strategy<Value = PortList> {
    let range = (1..=u16::MAX, 1..=u16::MAX).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b)));
    let item = prop_oneof![(1..=u16::MAX).prop_map(|port| port.to_string()), range];
    let list = prop::collection::vec(item, 1..6).prop_map(|items| items.join(","));
    prop_oneof![Just("*".to_owned()), list].prop_map(|text| text.parse().unwrap())
}

fn any_file() -> impl Strategy<Value = PolicyFile> {
    let grant =
        (any_domain(), any_ports(), any::<bool>()).prop_map(|(domain, ports, secure)| Grant { domain, ports, secure });
    let site_control = prop::option::of(prop::sample::select(SiteControl::VALUES.to_vec()));
    (site_control, prop::collection::vec(grant, 0..8))
        .prop_map(|(site_control, grants)| PolicyFile { site_control, grants })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(file in any_file()) {
        prop_assert_eq!(parse(&file.to_string()).0, file);
    }

    #[test]
    fn nothing_claims_a_restricted_port_from_an_open_one(file in any_file(), port in 1024..=u16::MAX) {
        let (restricted, _) = file.restricted_to_serving_port(port);
        for grant in &restricted.grants {
            prop_assert!(grant.ports.is_all() || (0..1024).all(|low| !grant.ports.contains(low)));
        }
        for open in [1024, 2000, 65535] {
            let opened = |file: &PolicyFile| file.grants.iter().filter(|grant| grant.ports.contains(open)).count();
            prop_assert_eq!(opened(&restricted), opened(&file));
        }
    }

    #[test]
    fn reading_never_panics(text in "\\PC*", body in "[<>/='\"& a-z*.,0-9-]{0,60}") {
        let _ = PolicyFile::parse(&text);
        let _ = PolicyFile::parse(&policy(&body));
        let _ = PolicyFile::parse(&policy(&format!("<allow-access-from domain='{body}' to-ports='{body}'/>")));
    }
}
