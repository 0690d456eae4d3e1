//! Addresses of masters: `hearth://host:7077`, `spark://host:7077`, `host:7077`, `host`, and lists of them.

use std::fmt;
use std::str::FromStr;

/// Where a master listens for clients and workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterUrl {
    host: String,
    port: u16,
}

/// One master, or several that share a state directory: `hearth://a:7077,b:7077`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterList {
    urls: Vec<MasterUrl>,
}

/// Why a text is not the address of a master.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a master address: {problem}; write hearth://HOST:7077")]
pub struct MasterUrlError {
    text: String,
    problem: &'static str,
}

impl MasterUrl {
    /// Port where none is given.
    pub const PORT: u16 = 7077;

    /// `host:port`, an IPv6 address in brackets.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Host name or address, an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for MasterUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hearth://{}:{}", self.host, self.port)
    }
}

impl FromStr for MasterUrl {
    type Err = MasterUrlError;

    fn from_str(text: &str) -> Result<Self, MasterUrlError> {
        parse(text.trim()).map_err(|problem| MasterUrlError { text: text.to_owned(), problem })
    }
}

impl MasterList {
    /// Most masters in a list.
    pub const MASTERS_MAX: usize = 16;

    /// `host:port` of each.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.urls.iter().map(MasterUrl::address).collect()
    }
}

impl fmt::Display for MasterList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hearth://{}", self.addresses().join(","))
    }
}

impl FromStr for MasterList {
    type Err = MasterUrlError;

    fn from_str(text: &str) -> Result<Self, MasterUrlError> {
        let mut urls = Vec::new();
        for part in text.split(',') {
            let url = part.parse()?;
            if !urls.contains(&url) {
                urls.push(url);
            }
        }
        match urls.len() <= Self::MASTERS_MAX {
            true => Ok(Self { urls }),
            false => Err(MasterUrlError { text: text.to_owned(), problem: "it names more than 16 masters" }),
        }
    }
}

fn parse(text: &str) -> Result<MasterUrl, &'static str> {
    let address = match text.split_once("://") {
        Some(("hearth" | "spark", address)) => address,
        Some(_) => return Err("only hearth:// and spark:// are known"),
        None => text,
    };
    let address = address.strip_suffix('/').unwrap_or(address);
    if address.contains(',') {
        return Err("it names several masters, and one is meant");
    }
    if address.contains(['/', '?', '#', '@']) {
        return Err("it has more than host and port");
    }
    let (host, port) = split_port(address)?;
    let port = port.map_or(Ok(MasterUrl::PORT), str::parse).ok().filter(|port| *port != 0);
    let port = port.ok_or("its port is not a number from 1 to 65535")?;
    check_host(host)?;
    Ok(MasterUrl { host: host.to_owned(), port })
}

fn split_port(address: &str) -> Result<(&str, Option<&str>), &'static str> {
    if address.starts_with('[') {
        let end = address.find(']').ok_or("its `[` is never closed")?;
        let (host, rest) = address.split_at(end + 1);
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err("a `:` must follow the `]`"),
        };
    }
    match address.split_once(':') {
        Some((_, port)) if port.contains(':') => Err("an IPv6 address must stand in brackets"),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((address, None)),
    }
}

fn check_host(host: &str) -> Result<(), &'static str> {
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        let parsed = address.parse::<std::net::Ipv6Addr>();
        return parsed.map(|_| ()).map_err(|_| "what stands in brackets is not an IPv6 address");
    }
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if host.is_empty() {
        Err("it has no host")
    } else if host.chars().all(known) {
        Ok(())
    } else {
        Err("its host has characters that no host name has")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let found = text.parse::<MasterUrl>().map(|url| url.to_string()).map_err(|error| error.problem);
        assert_eq!(found, expected.map(str::to_owned), "{text}");
    }

    #[test]
    fn reads_addresses() {
        check("hearth://node1:7077", Ok("hearth://node1:7077"));
        check("hearth://node1", Ok("hearth://node1:7077"));
        check("hearth://node1/", Ok("hearth://node1:7077"));
        check("spark://node1:17077", Ok("hearth://node1:17077"));
        check("node1.example.com:1", Ok("hearth://node1.example.com:1"));
        check("127.0.0.1", Ok("hearth://127.0.0.1:7077"));
        check("hearth://[::1]:9", Ok("hearth://[::1]:9"));
        check("[::1]", Ok("hearth://[::1]:7077"));
    }

    #[test]
    fn says_what_is_wrong() {
        check("", Err("it has no host"));
        check("hearth://:7077", Err("it has no host"));
        check("http://node1:7077", Err("only hearth:// and spark:// are known"));
        check("hearth://node1:port", Err("its port is not a number from 1 to 65535"));
        check("hearth://node1:0", Err("its port is not a number from 1 to 65535"));
        check("hearth://node1:70777", Err("its port is not a number from 1 to 65535"));
        check("spark://a:7077,b:7077", Err("it names several masters, and one is meant"));
        check("hearth://node1:7077/jobs", Err("it has more than host and port"));
        check("::1", Err("an IPv6 address must stand in brackets"));
        check("[::g]", Err("what stands in brackets is not an IPv6 address"));
        check("[::1", Err("its `[` is never closed"));
        check("node 1", Err("its host has characters that no host name has"));
    }

    #[test]
    fn reads_lists() {
        let read = |text: &str| text.parse::<MasterList>().map(|list| list.to_string()).map_err(|error| error.problem);
        assert_eq!(read("node1"), Ok("hearth://node1:7077".to_owned()));
        for text in ["hearth://a:1,b:2", "spark://a:1,spark://b:2", "a:1, b:2", "a:1,b:2,a:1", "hearth://a:1,b:2/"] {
            assert_eq!(read(text), Ok("hearth://a:1,b:2".to_owned()), "{text}");
        }
        assert_eq!(read("a,"), Err("it has no host"));
        assert_eq!(read("a,b c"), Err("its host has characters that no host name has"));
        let many: Vec<_> = (1..=17).map(|port| format!("a:{port}")).collect();
        assert_eq!(read(&many.join(",")), Err("it names more than 16 masters"));
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_reads_what_it_shows(text in ".*") {
            if let Ok(url) = text.parse::<MasterUrl>() {
                proptest::prop_assert_eq!(url.to_string().parse(), Ok(url));
            }
        }
    }
}
