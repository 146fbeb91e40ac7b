//! Every limit on a document, each with its reason.

use std::ops::RangeInclusive;
use std::time::Duration;

use tenure_core::limits;

/// Size of a document in bytes (256 KiB), as written and in canonical form. A specification is read
/// by people and travels whole with every lease; larger knowledge belongs into files.
pub const MAX_DOCUMENT_BYTES: usize = limits::SPEC;

/// Objects and lists inside each other. Readers recurse, and no sensible document needs more.
pub const MAX_NESTING: usize = 64;

/// Problems of one document that are reported: nobody repairs more at once, and a text of nothing
/// but mistakes must not cost more memory than a good one.
pub(crate) const MAX_PROBLEMS: usize = 100;

/// Problems of one `output` schema that are reported: one wrong root makes all else wrong too.
pub(crate) const MAX_SCHEMA_PROBLEMS: usize = 20;

/// Length of a name in characters: fits an index, a file name and a URL segment.
pub(crate) const MAX_NAME: usize = limits::NAME;

/// Length of texts shown in lists (descriptions, model names, addresses), in characters.
pub(crate) const MAX_LINE: usize = 2_000;

/// Length of a host name in characters, as in RFC 1035.
pub(crate) const MAX_HOST: usize = 253;

/// Hosts of one tool: an allow-list that nobody can review allows everything.
pub(crate) const MAX_HOSTS: usize = 100;

/// Length of a tool's name in characters: the most that every provider takes.
pub(crate) const MAX_TOOL_NAME: usize = 64;

/// Length of a source's name in characters: as much again is left for the names of its tools.
pub(crate) const MAX_SOURCE_NAME: usize = 32;

/// Tools of one source that a document names: a model chooses badly among more.
pub(crate) const MAX_LISTED: usize = 200;

/// Headers or variables of one source: more is configuration, which belongs to the server.
pub(crate) const MAX_VALUES: usize = 50;

/// Length of one such value in characters: common servers refuse longer headers.
pub(crate) const MAX_VALUE: usize = 8_192;

/// Length of a condition in bytes: what is longer is a program, which belongs into a tool.
pub(crate) const MAX_EXPRESSION: usize = 2_000;

/// Messages of a window: fewer than two would forget every call before its result.
pub(crate) const WINDOW: RangeInclusive<u64> = 2..=10_000;

/// Rules of one policy, and tools of one rule: more cannot be looked over.
pub(crate) const MAX_RULES: usize = 200;

/// Arguments of a command, and names of its variables: a longer line is a program of its own.
pub(crate) const MAX_ARGUMENTS: usize = 100;

/// Length of one argument of a command in characters.
pub(crate) const MAX_ARGUMENT: usize = 4_096;

/// Address space of a process of a command, in MiB: what starts at all, and a terabyte.
pub(crate) const MEMORY_MIB: RangeInclusive<u64> = 16..=1_048_576;

/// Bytes of a command's output that are kept, and of its errors: both fit a payload even if each
/// byte is written in six (`\u0000`).
pub(crate) const OUTPUT_BYTES: RangeInclusive<u64> = 1_024..=65_536;

/// Processes and threads of a command: more than any build, fewer than a machine has numbers for.
pub(crate) const PROCESSES: RangeInclusive<u64> = 1..=4_096;

/// Model replies in one run: a loop that needs more has lost its way.
pub(crate) const TURNS: RangeInclusive<u64> = 1..=1_000;

/// Tokens of one run: far above any bill, far below what a database integer holds.
pub(crate) const TOKENS: RangeInclusive<u64> = 1..=1_000_000_000_000;

/// Money of one run, in millionths of a dollar: above any bill.
pub(crate) const COST: RangeInclusive<u64> = 1..=1_000_000_000_000;

/// Price of a million tokens of a scripted model, in dollars: above any list.
pub(crate) const PRICE: RangeInclusive<f64> = 0.0..=100_000.0;

/// Tokens that a scripted reply says it has consumed: above what any model takes.
pub(crate) const USED: RangeInclusive<u64> = 0..=100_000_000;

/// Calls of tools in one run: as with replies, more is a loop.
pub(crate) const TOOL_CALLS: RangeInclusive<u64> = 1..=100_000;

/// Tokens of one reply: above what any model writes.
pub(crate) const REPLY_TOKENS: RangeInclusive<u64> = 1..=10_000_000;

/// Attempts of one step: with the backoff, more would hide an outage instead of riding it out.
pub(crate) const ATTEMPTS: RangeInclusive<u64> = 1..=20;

/// Sampling temperature: the widest range among the providers.
pub(crate) const TEMPERATURE: RangeInclusive<f64> = 0.0..=2.0;

/// Longest span: a year; sums of spans then never overflow.
pub(crate) const MAX_SPAN: Duration = Duration::from_hours(365 * 24);

/// Nodes of a graph: more cannot be looked over, and the document's size ends near here anyway.
pub(crate) const MAX_NODES: usize = 1_000;

/// Transitions of a node: a choice among more is a table, which belongs into a tool.
pub(crate) const MAX_TRANSITIONS: usize = 100;

/// Branches of a `parallel`: what is more is a list, which is for `map`.
pub(crate) const MAX_BRANCHES: usize = 32;

/// Length of the name of a branch in bytes: three of them and the node's have to fit into a key.
pub(crate) const MAX_BRANCH_NAME: usize = 64;

/// `map` and `parallel` inside each other: their widths multiply.
pub(crate) const MAX_FANS: usize = 3;

/// Elements of one `map` that are worked on at the same time: each holds memory of the worker.
pub(crate) const AT_ONCE: RangeInclusive<u64> = 1..=32;

/// Values to choose from: nobody looks through more.
pub(crate) const MAX_CHOICES: usize = 100;

/// Members of a team: a model that chooses among more does not read what they are good for.
pub(crate) const MAX_MEMBERS: usize = 50;

/// Length of a member's name in characters: `transfer_to_` in front of it is the name of a tool.
pub(crate) const MAX_MEMBER_NAME: usize = 52;

/// Hand-overs of a team: more cannot be looked over.
pub(crate) const MAX_HANDOFFS: usize = 200;

/// Variables of a team: each is looked at after every turn, and shown to who may set it.
pub(crate) const MAX_VARIABLES: usize = 100;

/// Visits of a node in one run: as many as there may be replies of a model.
pub(crate) const VISITS: RangeInclusive<u64> = TURNS;

/// Parentheses inside each other in a template, and its `else`: its parser recurses at both.
pub(crate) const TEMPLATE_NESTING: usize = 100;

/// Rounds of all loops of a template together: thousands of lines, not an endless loop.
pub(crate) const TEMPLATE_ROUNDS: u64 = 1_000_000;

/// Bytes that a template may make: as many as a step may give.
pub(crate) const TEMPLATE_OUTPUT: usize = limits::PAYLOAD;

/// Backends of a worker, pools of backends, and models of one of either: each is listed and checked
/// in turn, and an operator looks over one page of them.
pub(crate) const MAX_BACKENDS: usize = 200;

/// Calls that a backend takes at a time: more than any server of models works on.
pub(crate) const AT_A_TIME: RangeInclusive<u64> = 1..=10_000;

/// Requests or tokens of a minute: far above what any provider sells, far below what Redis counts.
pub(crate) const PER_MINUTE: RangeInclusive<u64> = 1..=1_000_000_000_000;

/// Tokens of a model's context: above any model.
pub(crate) const CONTEXT: RangeInclusive<u64> = 1..=1_000_000_000;

/// Failures in a row that close a backend off: more would hide an outage from nobody but us.
pub(crate) const FAILURES: RangeInclusive<u64> = 1..=100;
