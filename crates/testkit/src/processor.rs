//! Processor time and memory of processes, from Linux's `/proc`.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

/// `/proc` counts processor time in hundredths of a second, whatever the kernel's tick is.
const TICK: Duration = Duration::from_millis(10);

/// What `/proc/PID/stat` says of a process.
struct Stat {
    parent: u32,
    own: u32,
    /// Of its children that have ended.
    ended: u32,
}

/// The processor time that a process has used.
pub fn of_process(pid: u32) -> anyhow::Result<Duration> {
    Ok(TICK * stat(pid)?.own)
}

/// The processor time that a process and its children have used, those that have ended included.
pub fn of_family(pid: u32) -> anyhow::Result<Duration> {
    let root = stat(pid)?;
    // A process that ends while this looks is counted among those that have ended the next time.
    let children = processes()?.into_iter().filter_map(|pid| stat(pid).ok());
    let children = children.filter(|child| child.parent == pid);
    Ok(TICK * (root.own + root.ended + children.map(|child| child.own + child.ended).sum::<u32>()))
}

/// The processor time that the whole machine has used for anything.
pub fn of_machine() -> anyhow::Result<Duration> {
    let text = fs::read_to_string("/proc/stat").context("/proc/stat cannot be read")?;
    let line = text.lines().next().unwrap_or_default();
    let ticks: Vec<u32> =
        line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    // user, nice, system, then idle and iowait, then irq, softirq and steal: see proc(5).
    let busy = ticks.iter().enumerate().take(8).filter(|(place, _)| ![3, 4].contains(place));
    Ok(TICK * busy.map(|(_, ticks)| ticks).sum::<u32>())
}

/// The parent of a process.
pub fn parent(pid: u32) -> anyhow::Result<u32> {
    Ok(stat(pid)?.parent)
}

/// The memory that a process occupies, in MiB.
pub fn memory(pid: u32) -> anyhow::Result<u64> {
    Ok(resident(pid)? / 1_024)
}

/// The memory that a process occupies, in KiB.
pub fn resident(pid: u32) -> anyhow::Result<u64> {
    status(pid, "VmRSS:")
}

/// The most memory that a process has occupied at any time, in KiB.
pub fn peak(pid: u32) -> anyhow::Result<u64> {
    status(pid, "VmHWM:")
}

/// A line of `/proc/PID/status` that is a number of KiB.
fn status(pid: u32, name: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.with_context(|| format!("/proc/{pid}/status has no {name}"))
}

/// How busy the machine is: runnable processes, in the mean of the last minute.
pub fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("unknown").to_owned()
}

fn processes() -> anyhow::Result<Vec<u32>> {
    let names =
        fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter_map(|name| name.parse().ok()).collect())
}

fn stat(pid: u32) -> anyhow::Result<Stat> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path)
        .with_context(|| format!("{path} cannot be read: this needs Linux and a local server"))?;
    // The name in brackets before may have anything in it.
    let (_, after) = text.rsplit_once(')').with_context(|| format!("{path} is unreadable"))?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let field = |place: usize| {
        let number = fields.get(place).and_then(|field| field.parse::<u32>().ok());
        number.with_context(|| format!("{path} is unreadable"))
    };
    // utime and stime, then cutime and cstime: fields 14 to 17 of proc(5), which counts from 1.
    Ok(Stat { parent: field(1)?, own: field(11)? + field(12)?, ended: field(13)? + field(14)? })
}
