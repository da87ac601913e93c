//! Where a listener is: `host:port`, or the path of a socket file.
//!
//! Invariant: a socket file that was made here is removed when its listener is, or at the end of orch, unless somebody has put
//! another in its place.

use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use parking_lot::Mutex;
use rustix::fs::{Mode, fchmod};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with};

/// How many may wait to be accepted.
const BACKLOG: i32 = 128;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A host, by name or number, and a port.
    Tcp(String, u16),
    /// A socket file.
    File(PathBuf),
}

impl Address {
    /// Reads an address: a path has a `/`.
    pub fn parse(text: &str) -> Option<Address> {
        if text.contains('/') {
            return Some(Address::File(PathBuf::from(text)));
        }
        let (host, port) = text.rsplit_once(':')?;
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = inner.unwrap_or(host);
        // Without brackets the last part of an IPv6 address would be taken for the port.
        if host.is_empty() || (inner.is_none() && host.contains(':')) {
            return None;
        }
        Some(Address::Tcp(host.to_string(), port.parse().ok()?))
    }

    /// Listens there: a socket that does not block, and the address that it has got.
    ///
    /// # Errors
    /// Those of the system.
    pub fn listen(&self) -> io::Result<(OwnedFd, Address, Option<SocketFile>)> {
        match self {
            Address::Tcp(host, port) => {
                let listener = TcpListener::bind(&resolve(host, *port)?[..])?;
                listener.set_nonblocking(true)?;
                let real = listener.local_addr()?;
                Ok((listener.into(), Address::Tcp(real.ip().to_string(), real.port()), None))
            }
            Address::File(path) => {
                let (socket, file) = listen_at(path)?;
                Ok((socket, self.clone(), Some(file)))
            }
        }
    }

    /// True when nobody has to be asked for what is behind it.
    pub fn is_a_number(&self) -> bool {
        match self {
            Address::Tcp(host, _) => host.parse::<IpAddr>().is_ok(),
            Address::File(_) => true,
        }
    }

    /// The numbers behind it, or the file.
    ///
    /// # Errors
    /// When there is no such host.
    pub fn targets(&self) -> io::Result<Vec<Target>> {
        match self {
            Address::Tcp(host, port) => Ok(resolve(host, *port)?.into_iter().map(Target::Tcp).collect()),
            Address::File(path) => Ok(vec![Target::File(path.clone())]),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp(host, port) => write!(f, "{host}:{port}"),
            Address::File(path) => write!(f, "{}", path.display()),
        }
    }
}

fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    if found.is_empty() { Err(io::Error::new(io::ErrorKind::NotFound, "no such host")) } else { Ok(found) }
}

/// One place to connect to.
pub enum Target {
    /// A host's.
    Tcp(SocketAddr),
    /// A file.
    File(PathBuf),
}

impl Target {
    /// A socket that does not block, on its way there or connected.
    ///
    /// # Errors
    /// Those of the system; `WouldBlock` when nobody was taken in just now.
    pub fn connect(&self) -> io::Result<OwnedFd> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (socket, connected) = match self {
            Target::Tcp(address) => {
                let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
                let socket = socket_with(family, SocketType::STREAM, flags, None)?;
                let connected = connect(&socket, address);
                (socket, connected)
            }
            Target::File(path) => {
                let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
                let connected = connect(&socket, &SocketAddrUnix::new(path)?);
                (socket, connected)
            }
        };
        match connected {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
            Err(error) => Err(error.into()),
        }
    }
}

fn listen_at(path: &Path) -> io::Result<(OwnedFd, SocketFile)> {
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // The file gets the permissions that the socket has; so it never is there with others.
    fchmod(socket.as_fd(), Mode::RUSR | Mode::WUSR)?;
    match bind(&socket, &address) {
        Err(Errno::ADDRINUSE) if is_stale(path) => {
            fs::remove_file(path)?;
            bind(&socket, &address)?;
        }
        bound => bound?,
    }
    let file = SocketFile::note(path)?;
    listen(&socket, BACKLOG)?;
    Ok((socket, file))
}

/// A socket file at which nobody listens any more.
fn is_stale(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    // It does not wait where many wait already.
    let knock = || Target::File(path.to_path_buf()).connect();
    is_socket && knock().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// A socket file that was made here. Somebody may put another in its place, also with the same number.
#[derive(Clone, PartialEq, Eq)]
struct Made {
    path: PathBuf,
    file: FileId,
}

/// Device, number, and when it was made, where the file system knows it.
type FileId = (u64, u64, Option<SystemTime>);

fn file_id(path: &Path) -> io::Result<FileId> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino(), found.created().ok()))
}

static MADE: Mutex<Vec<Made>> = Mutex::new(Vec::new());

impl Made {
    fn remove(&self) {
        if file_id(&self.path).is_ok_and(|found| found == self.file) {
            // If it cannot be removed now, whoever listens there next does it.
            let _left = fs::remove_file(&self.path);
        }
    }
}

/// See [`Address`]; removed when this is dropped.
pub struct SocketFile(Made);

impl SocketFile {
    fn note(path: &Path) -> io::Result<SocketFile> {
        // It has to be found at the end, wherever the script has gone meanwhile.
        let made = Made { path: std::path::absolute(path)?, file: file_id(path)? };
        MADE.lock().push(made.clone());
        Ok(SocketFile(made))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        MADE.lock().retain(|made| *made != self.0);
        self.0.remove();
    }
}

/// Removes the socket files that are left, at the end of orch.
pub fn remove_files() {
    std::mem::take(&mut *MADE.lock()).iter().for_each(Made::remove);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for (text, host, port) in
            [("localhost:80", "localhost", 80), ("[::1]:0", "::1", 0), ("10.0.0.1:65535", "10.0.0.1", 65535)]
        {
            let address = Address::parse(text).unwrap();
            assert_eq!(address, Address::Tcp(host.into(), port));
            assert_eq!(address.to_string(), text);
        }
        assert_eq!(Address::parse("./x:1"), Some(Address::File("./x:1".into())));
        for wrong in ["", "localhost", ":80", "localhost:", "localhost:x", "localhost:65536", "::1:80", "[]:1", "a:-1"]
        {
            assert_eq!(Address::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_stale_file_is_replaced_and_one_in_use_or_of_another_kind_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let address = Address::File(path.clone());
        let (first, _, kept) = address.listen().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(address.listen().is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse));
        drop(first);
        let (second, _, again) = address.listen().unwrap();
        // The first one's file is no longer there, so it removes nothing.
        drop(kept);
        assert!(path.exists());
        drop((second, again));
        assert!(!path.exists());
        fs::write(&path, "mine").unwrap();
        assert!(address.listen().is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }
}
