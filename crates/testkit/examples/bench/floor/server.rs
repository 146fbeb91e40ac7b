//! The server of the bare reference.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::Stream;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};
use uuid::{Builder, Uuid};

use super::batches::{Batches, Columns, Statement, Waiting, connect};
use super::wire::floor_server::{Floor, FloorServer};
use super::wire::{
    Append, Appended, Assigned, EchoRequest, EchoResponse, End, FromWorker, StartRequest,
    StartResponse, ToWorker, from_worker, to_worker,
};
use crate::seen::locked;

/// What the product's ledger is at its barest: a row that is fenced, and one for each step.
const SCHEMA: &str = "
    CREATE TABLE run (
        run_id uuid PRIMARY KEY,
        state smallint NOT NULL DEFAULT 1,
        epoch bigint NOT NULL DEFAULT 1,
        last_seq int NOT NULL DEFAULT 0,
        updated_at timestamptz NOT NULL DEFAULT now()
    ) WITH (fillfactor = 80);
    CREATE TABLE step (
        run_id uuid NOT NULL,
        seq int NOT NULL,
        name text NOT NULL,
        payload bytea NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (run_id, seq)
    )";

const CREATE: Statement<Uuid> = Statement {
    sql: "INSERT INTO run (run_id) SELECT * FROM unnest($1::uuid[])",
    columns: |rows| vec![Box::new(rows.iter().map(|waiting| waiting.row).collect::<Vec<_>>())],
};

const APPEND: Statement<Append> = Statement {
    sql: "WITH given AS (
              SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::int[], $4::text[], $5::bytea[])
                  AS given (run_id, epoch, seq, name, payload)
          ), fenced AS (
              UPDATE run SET last_seq = given.seq, updated_at = now() FROM given
              WHERE run.run_id = given.run_id AND run.epoch = given.epoch AND run.state = 1
                  AND run.last_seq = given.seq - 1
              RETURNING given.*
          )
          INSERT INTO step (run_id, seq, name, payload)
          SELECT run_id, seq, name, payload FROM fenced",
    columns: appended,
};

const END: Statement<End> = Statement {
    sql: "UPDATE run SET state = 2, updated_at = now()
          FROM unnest($1::uuid[], $2::bigint[]) AS given (run_id, epoch)
          WHERE run.run_id = given.run_id AND run.epoch = given.epoch AND run.state = 1",
    columns: |rows| {
        let epochs: Vec<_> = rows.iter().map(|waiting| waiting.row.epoch.cast_signed()).collect();
        vec![ids(rows, |end| &end.run), Box::new(epochs)]
    },
};

/// Connections that append, and that do each of the others: with these it was fastest.
const APPENDERS: usize = 2;
const OTHERS: usize = 1;

fn appended(rows: &[Waiting<Append>]) -> Columns<'_> {
    let each = || rows.iter().map(|waiting| &waiting.row);
    vec![
        ids(rows, |append| &append.run),
        Box::new(each().map(|append| append.epoch.cast_signed()).collect::<Vec<_>>()),
        Box::new(each().map(|append| append.seq.cast_signed()).collect::<Vec<_>>()),
        Box::new(each().map(|append| append.name.as_str()).collect::<Vec<_>>()),
        Box::new(each().map(|append| &*append.payload).collect::<Vec<_>>()),
    ]
}

fn ids<'a, T>(
    rows: &'a [Waiting<T>],
    run: fn(&T) -> &Bytes,
) -> Box<dyn tokio_postgres::types::ToSql + Send + Sync + 'a> {
    let ids = rows.iter().map(|waiting| Uuid::from_slice(run(&waiting.row)).unwrap_or_default());
    Box::new(ids.collect::<Vec<_>>())
}

type ToWorkers = mpsc::UnboundedSender<Result<ToWorker, Status>>;

/// What all calls share.
struct Plane {
    runs: Batches<Uuid>,
    steps: Batches<Append>,
    ends: Batches<End>,
    /// The worker that came last; there is one.
    worker: Mutex<Option<ToWorkers>>,
    /// Who waits for the end of a run.
    waiting: Mutex<HashMap<Bytes, oneshot::Sender<Bytes>>>,
}

/// Serves on this address, with an empty database, until something fails.
pub(crate) async fn serve(listener: TcpListener, database_url: &str) -> anyhow::Result<()> {
    connect(database_url).await?.batch_execute(SCHEMA).await?;
    let mut tasks = JoinSet::new();
    let plane = Arc::new(Plane {
        runs: Batches::open(database_url, OTHERS, CREATE, &mut tasks).await?,
        steps: Batches::open(database_url, APPENDERS, APPEND, &mut tasks).await?,
        ends: Batches::open(database_url, OTHERS, END, &mut tasks).await?,
        worker: Mutex::default(),
        waiting: Mutex::default(),
    });
    // The builder's own setting is for listeners of its own: with it here, one answer in a hundred
    // waited 40 ms for an acknowledgement.
    let connections = TcpIncoming::from(listener).with_nodelay(Some(true));
    let mut server = tonic::transport::Server::builder();
    let serving = server.add_service(FloorServer::from_arc(Arc::new(Calls(plane))));
    tokio::select! {
        served = serving.serve_with_incoming(connections) => Ok(served?),
        Some(ended) = tasks.join_next() => ended?,
    }
}

struct Calls(Arc<Plane>);

#[tonic::async_trait]
impl Floor for Calls {
    async fn start(
        &self,
        request: Request<StartRequest>,
    ) -> Result<Response<StartResponse>, Status> {
        let ended = self.0.start(request.into_inner().input)?;
        let output = ended.await.map_err(|_| Status::internal("the run is lost"))?;
        Ok(Response::new(StartResponse { output }))
    }

    type WorkStream = Pin<Box<dyn Stream<Item = Result<ToWorker, Status>> + Send>>;

    async fn work(
        &self,
        request: Request<Streaming<FromWorker>>,
    ) -> Result<Response<Self::WorkStream>, Status> {
        let (sender, receiver) = mpsc::unbounded_channel();
        *locked(&self.0.worker) = Some(sender.clone());
        let (plane, mut said) = (self.0.clone(), request.into_inner());
        tokio::spawn(async move {
            while let Ok(Some(FromWorker { message: Some(message) })) = said.message().await {
                plane.hear(message, &sender);
            }
        });
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(receiver))))
    }

    async fn echo(&self, request: Request<EchoRequest>) -> Result<Response<EchoResponse>, Status> {
        Ok(Response::new(EchoResponse { data: request.into_inner().data }))
    }
}

impl Plane {
    /// Saves a run and gives it to the worker; its output comes later.
    fn start(&self, input: Bytes) -> Result<oneshot::Receiver<Bytes>, Status> {
        let worker = locked(&self.worker).clone();
        let worker = worker.ok_or_else(|| Status::unavailable("there is no worker"))?;
        let id = Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid();
        let run = Bytes::copy_from_slice(id.as_bytes());
        let (sender, ended) = oneshot::channel();
        locked(&self.waiting).insert(run.clone(), sender);
        self.runs.save(id, move || {
            say(&worker, to_worker::Message::Assigned(Assigned { run, epoch: 1, input }));
        });
        Ok(ended)
    }

    fn hear(self: &Arc<Self>, message: from_worker::Message, worker: &ToWorkers) {
        match message {
            from_worker::Message::Append(append) => {
                let (run, worker) = (append.run.clone(), worker.clone());
                self.steps.save(append, move || {
                    say(&worker, to_worker::Message::Appended(Appended { run }));
                });
            }
            from_worker::Message::End(end) => {
                let (run, output, plane) = (end.run.clone(), end.output.clone(), self.clone());
                self.ends.save(end, move || plane.ended(&run, output));
            }
        }
    }

    fn ended(&self, run: &Bytes, output: Bytes) {
        if let Some(waiting) = locked(&self.waiting).remove(run) {
            // Nobody has to wait for it any more.
            let _ = waiting.send(output);
        }
    }
}

fn say(worker: &ToWorkers, message: to_worker::Message) {
    // A worker that has gone has lost its runs: this server gives them to nobody else.
    let _ = worker.send(Ok(ToWorker { message: Some(message) }));
}
