//! A TCP proxy that can be cut, silenced and slowed down: the network between two parts of Tenure,
//! in a test's hand.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Bytes that are read at a time: what is late together.
const PIECE: usize = 16 << 10;

/// Forwards connections to one of several addresses, as well as it is told.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    line: Arc<watch::Sender<Line>>,
}

/// How bytes go through, in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// At once.
    #[default]
    Open,
    /// Not at all, and nobody is told: what is sent, the end of a connection too, waits for better
    /// times, as TCP sends it again.
    Silent,
    /// Each piece late by `delay` and up to `jitter` more, in order.
    Slow {
        /// The least that a piece is late.
        delay: Duration,
        /// The most that chance adds.
        jitter: Duration,
    },
}

/// What the network is like.
#[derive(Clone, Debug, Default)]
struct Line {
    cut: bool,
    /// Grows when the connections that there are shall break.
    breaks: u64,
    /// What the client sends.
    requests: Flow,
    /// What the server sends.
    answers: Flow,
    avoided: HashSet<String>,
}

impl Proxy {
    /// A proxy in front of `target` (`host:port`).
    pub async fn start(target: String) -> Self {
        Self::balance(vec![target]).await
    }

    /// A proxy in front of several equals: each connection goes to the next of them that takes it.
    pub async fn balance(targets: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let line = Arc::new(watch::Sender::new(Line::default()));
        let told = line.clone();
        tokio::spawn(async move {
            let mut targets = targets;
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, targets.clone(), told.subscribe()));
                targets.rotate_left(1);
            }
        });
        Self { address, line }
    }

    /// Breaks all connections, and every new one at once.
    pub fn cut(&self) {
        self.line.send_modify(|line| line.cut = true);
    }

    /// Lets everything through again. What waited in silence arrives now.
    pub fn mend(&self) {
        self.line.send_modify(|line| {
            line.cut = false;
            (line.requests, line.answers) = (Flow::Open, Flow::Open);
        });
    }

    /// Breaks the connections that there are; what was held back is lost. New ones are let through.
    pub fn hang_up(&self) {
        self.line.send_modify(|line| line.breaks += 1);
    }

    /// How requests and answers go through from now on, on all connections.
    pub fn flow(&self, requests: Flow, answers: Flow) {
        self.line.send_modify(|line| (line.requests, line.answers) = (requests, answers));
    }

    /// Breaks the connections to this target and makes no new ones to it, as a load balancer does
    /// that found it ill.
    pub fn avoid(&self, target: String) {
        self.line.send_modify(|line| {
            line.avoided.insert(target);
        });
    }

    /// Makes connections to this target again.
    pub fn trust(&self, target: &str) {
        self.line.send_modify(|line| {
            line.avoided.remove(target);
        });
    }
}

/// One connection, until either side ends it or the line breaks.
async fn forward(client: TcpStream, targets: Vec<String>, mut line: watch::Receiver<Line>) {
    let Line { cut, breaks, avoided, .. } = line.borrow().clone();
    if cut {
        return;
    }
    let well = targets.into_iter().filter(|target| !avoided.contains(target));
    let Some((target, server)) = connect(well).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = pump(&mut from_client, &mut to_server, line.clone(), |line| line.requests);
    let answers = pump(&mut from_server, &mut to_client, line.clone(), |line| line.answers);
    let broken = |line: &Line| line.cut || line.breaks != breaks || line.avoided.contains(&target);
    tokio::select! {
        // First: what was held back must not slip through when the line breaks and is mended.
        biased;
        _ = line.wait_for(broken) => {}
        _ = async { tokio::try_join!(requests, answers) } => {}
    }
}

/// The first that takes a connection.
async fn connect(targets: impl Iterator<Item = String>) -> Option<(String, TcpStream)> {
    for target in targets {
        if let Ok(server) = TcpStream::connect(&target).await {
            // Late is what the test makes late.
            let _ = server.set_nodelay(true);
            return Some((target, server));
        }
    }
    None
}

async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut line: watch::Receiver<Line>,
    flow: fn(&Line) -> Flow,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let count = from.read(&mut piece).await?;
        pass(&mut line, flow).await;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&piece[..count]).await?;
    }
}

/// Returns when a piece may go on.
async fn pass(line: &mut watch::Receiver<Line>, flow: fn(&Line) -> Flow) {
    let heard = line.wait_for(|line| flow(line) != Flow::Silent).await;
    // The listener keeps the other end.
    let flow = heard.map(|line| flow(&line)).unwrap_or_default();
    if let Flow::Slow { delay, jitter } = flow {
        tokio::time::sleep(delay + jitter.mul_f64(fastrand::f64())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers each connection with its name, and then what it is sent.
    async fn echo(name: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                tokio::spawn(async move {
                    client.write_all(name.as_bytes()).await?;
                    let (mut from, mut to) = client.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        address
    }

    /// A connection, and the one character of the name that greets it; none if it was broken.
    async fn greeted(proxy: &Proxy) -> (TcpStream, Option<u8>) {
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        let greeting = stream.read_u8().await.ok();
        (stream, greeting)
    }

    #[tokio::test]
    async fn what_is_cut_is_broken_until_it_is_mended() {
        let proxy = Proxy::start(echo("a").await).await;
        let (mut before, _) = greeted(&proxy).await;
        proxy.cut();
        assert!(before.read_u8().await.is_err());
        assert_eq!(greeted(&proxy).await.1, None);
        proxy.mend();
        assert_eq!(greeted(&proxy).await.1, Some(b'a'));
    }

    #[tokio::test]
    async fn silence_holds_back_and_a_hang_up_loses_what_it_held() {
        let proxy = Proxy::start(echo("a").await).await;
        for (requests, answers) in [(Flow::Silent, Flow::Open), (Flow::Open, Flow::Silent)] {
            let (mut kept, _) = greeted(&proxy).await;
            proxy.flow(requests, answers);
            kept.write_u8(7).await.unwrap();
            proxy.mend();
            assert_eq!(kept.read_u8().await.unwrap(), 7);

            proxy.flow(requests, answers);
            kept.write_u8(8).await.unwrap();
            proxy.hang_up();
            assert!(kept.read_u8().await.is_err(), "{requests:?} {answers:?}");
            proxy.mend();
        }
    }

    #[tokio::test]
    async fn what_is_slow_arrives_late_and_in_order() {
        let proxy = Proxy::start(echo("a").await).await;
        let (mut stream, _) = greeted(&proxy).await;
        let delay = Duration::from_millis(20);
        proxy.flow(Flow::Slow { delay, jitter: delay }, Flow::Open);
        let sent = tokio::time::Instant::now();
        stream.write_u8(1).await.unwrap();
        stream.write_u8(2).await.unwrap();
        assert_eq!((stream.read_u8().await.unwrap(), stream.read_u8().await.unwrap()), (1, 2));
        assert!(sent.elapsed() >= delay, "after {:?}", sent.elapsed());
    }

    #[tokio::test]
    async fn equals_take_turns_and_the_ill_one_is_passed_over() {
        let (a, b) = (echo("a").await, echo("b").await);
        let proxy = Proxy::balance(vec![a.clone(), b]).await;
        let (mut to_a, first) = greeted(&proxy).await;
        let (_, second) = greeted(&proxy).await;
        assert_eq!((first, second), (Some(b'a'), Some(b'b')));
        proxy.avoid(a.clone());
        assert!(to_a.read_u8().await.is_err());
        for _ in 0..3 {
            assert_eq!(greeted(&proxy).await.1, Some(b'b'));
        }
        proxy.trust(&a);
        let (one, other) = (greeted(&proxy).await.1, greeted(&proxy).await.1);
        assert_ne!(one, other);
    }
}
