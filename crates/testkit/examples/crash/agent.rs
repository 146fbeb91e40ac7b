//! The worker: agents that do the parts of their programs, and say in the log what happens.

mod recorder;

use std::future::ready;
use std::io::Read as _;
use std::sync::Arc;

use recorder::{Hand, Recorder};
use tenure_sdk::{Answer, Client, Context, Decision, Failure, Retry, Stop, join, shutdown_signal};

use crate::log::{Event, Telling};
use crate::options;
use crate::program::{self, AGENT, Ask, CALLED, End, Part};

/// Runs that a worker executes at a time: few enough that there is work until the last fault.
const CAPACITY: usize = 5;

/// Works until it is killed, or until the test has gone, however that ended.
pub(crate) async fn work(options: options::Worker) -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).init();
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
    let client = Client::connect(&options.url, "default".parse()?)?;
    let recorder = Arc::new(Recorder::new(options)?);
    let mut worker = tenure_sdk::Worker::new(client).capacity(CAPACITY).observer(recorder.clone());
    for name in [AGENT, CALLED] {
        let recorder = recorder.clone();
        let agent = move |context, input| agent(context, name, input, recorder.clone());
        worker = worker.handle(name, agent);
    }
    worker.run(shutdown_signal()).await?;
    Ok(())
}

async fn agent(
    context: Context,
    name: &'static str,
    input: u64,
    recorder: Arc<Recorder>,
) -> Result<u64, Stop> {
    let program = program::of(name, input);
    let mut hand = Hand::new(&recorder, context.run());
    let mut values = Vec::new();
    for (index, part) in program.parts.iter().enumerate() {
        if part.waits() {
            hand.let_go();
        }
        values.push(play(&context, index, part, &recorder).await?);
        if part.waits() {
            hand.hold();
        }
    }
    hand.let_go();
    if program.end == End::Fails {
        return Err(Stop::failed(program::ON_PURPOSE, "it was called to fail"));
    }
    Ok(program::output(values))
}

/// Does one part, and gives what it comes to.
async fn play(
    context: &Context,
    index: usize,
    part: &Part,
    recorder: &Recorder,
) -> Result<u64, Stop> {
    match part {
        Part::Step => {
            let step = context.step(&program::name("step", index)).retry(Retry::NONE);
            step.run(|attempt| recorder.work(&attempt)).await
        }
        Part::Once => {
            let find_out = |attempt| ready(recorder.find_out(&attempt));
            let step = context.step(&program::name("once", index)).once();
            let step = step.reconcile(find_out);
            step.run(|attempt| recorder.work_once(&attempt)).await
        }
        Part::Sleep(length) => context.sleep(*length).await.map(|()| 0),
        Part::Signal => {
            let brought = context.wait_for(&program::SIGNAL.parse()?).await?;
            Ok(serde_json::from_slice(&brought.data)?)
        }
        Part::Ask(question) => ask(context, index, question, recorder).await,
        Part::Call(input) => call(context, index, *input).await,
        Part::Branches(branches) => {
            let branch = |(number, parts): (usize, &Vec<Part>)| {
                let context = context.scope(&program::scope(index, number));
                let parts = parts.clone();
                async move { play_all(&context?, &parts, recorder).await }
            };
            join(branches.iter().enumerate().map(branch)).await.map(program::output)
        }
    }
}

async fn play_all(context: &Context, parts: &[Part], recorder: &Recorder) -> Result<u64, Stop> {
    let mut values = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        values.push(Box::pin(play(context, index, part, recorder)).await?);
    }
    Ok(program::output(values))
}

async fn ask(
    context: &Context,
    index: usize,
    question: &Ask,
    recorder: &Recorder,
) -> Result<u64, Stop> {
    let name = program::name("ask", index);
    let mut interrupt = context.interrupt(&name).payload(&question.about);
    if let Some((length, default)) = question.deadline {
        let default = match default {
            program::Answer::Reject => Decision::Reject,
            _ => Decision::Approve,
        };
        interrupt = interrupt.timeout(length).default_to(default);
    }
    let Answer { decision, value, timed_out, .. } = interrupt.ask::<u64>().await?;
    let answer = program::Answer::of(decision.as_str(), value);
    let answer = answer.ok_or_else(|| Stop::failed("unasked", "this was no choice"))?;
    let (run, about) = (context.run().to_string(), question.about);
    recorder.write(Event::Told(Telling { run, about, answer, timed_out }));
    Ok(question.worth(answer))
}

/// A failure on purpose is a value; any other is not expected.
async fn call(context: &Context, index: usize, input: u64) -> Result<u64, Stop> {
    let call = context.call(CALLED, &input).name(&program::name("call", index));
    match call.outcome().await? {
        Ok(output) => Ok(output),
        Err(Failure { code, .. }) if code == program::ON_PURPOSE => Ok(program::FAILED),
        Err(failure) => Err(Stop::Failed(failure)),
    }
}
