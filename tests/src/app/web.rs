//! A web server as most are: a header by `write`, the file by `sendfile`, one connection a request. And who asks it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

/// Arguments of `app serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// Where to listen; port 0 takes a free one.
    #[arg(long)]
    listen: SocketAddr,
    /// What everybody gets.
    #[arg(long)]
    file: PathBuf,
    /// Seconds after which it ends in any case.
    #[arg(long, default_value_t = 60)]
    pub(crate) limit: u32,
}

/// Arguments of `app fetch`.
#[derive(Debug, clap::Args)]
pub(crate) struct Fetch {
    /// Whom to ask.
    #[arg(long)]
    to: SocketAddr,
    /// Milliseconds between two requests.
    #[arg(long, default_value_t = 10)]
    pause: u64,
    /// Seconds after which it ends in any case.
    #[arg(long, default_value_t = 60)]
    pub(crate) limit: u32,
}

/// Prints the port and answers requests, one after another, until killed or SIGALRM.
pub(crate) fn serve(args: &Serve) -> anyhow::Result<()> {
    let listener = TcpListener::bind(args.listen)?;
    println!("{}", listener.local_addr()?.port());
    std::io::stdout().flush()?;
    loop {
        answer(&listener.accept()?.0, &args.file)?;
    }
}

fn answer(stream: &TcpStream, path: &Path) -> anyhow::Result<()> {
    let lines = BufReader::new(stream).lines();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let size = file.metadata()?.len() as usize;
    write!(&mut &*stream, "HTTP/1.0 200 OK\r\nContent-Length: {size}\r\n\r\n")?;
    let mut at = 0;
    while (at as usize) < size {
        let left = size - at as usize;
        let sent = nix::sys::sendfile::sendfile(stream, &file, Some(&mut at), left)?;
        ensure!(sent > 0, "sendfile sent nothing");
    }
    Ok(())
}

/// Asks again and again, and takes whole answers, until killed or SIGALRM.
pub(crate) fn fetch(args: &Fetch) -> anyhow::Result<()> {
    loop {
        let mut stream = TcpStream::connect(args.to)?;
        stream.write_all(b"GET / HTTP/1.0\r\nHost: zcscope-tests\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        if !answer.starts_with(b"HTTP/1.0 200 OK\r\n") {
            bail!("the server answered with {} bytes of something else", answer.len());
        }
        std::thread::sleep(Duration::from_millis(args.pause));
    }
}
