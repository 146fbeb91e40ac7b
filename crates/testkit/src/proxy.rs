//! A TCP proxy that can be cut: the network between two parts of Tenure, in a test's hand.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards connections to one address, until it is cut.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    open: Arc<watch::Sender<bool>>,
}

impl Proxy {
    /// A proxy in front of `target` (`host:port`).
    pub async fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let open = Arc::new(watch::Sender::new(true));
        let gate = open.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, target.clone(), gate.subscribe()));
            }
        });
        Self { address, open }
    }

    /// Breaks all connections, and every new one at once.
    pub fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Lets new connections through again.
    pub fn mend(&self) {
        self.open.send_replace(true);
    }
}

async fn forward(mut client: TcpStream, target: String, mut open: watch::Receiver<bool>) {
    if !*open.borrow() {
        return;
    }
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = open.wait_for(|open| !open) => {}
    }
}
