//! The rules that hold: which of them a request is meant by, and what that comes to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytestring::ByteString;
use kafka_protocol::{ApiKey, ErrorCode};

use crate::control::rule::{Action, Rule, RuleError, Schedule, When};
use crate::control::subjects::{Refusal, Refusals, Subjects, TopicSubject};

/// The rules that hold, in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct Ruleset {
    rules: Mutex<Vec<Arc<ActiveRule>>>,
}

/// A rule that holds, or has held.
#[derive(Debug)]
pub(crate) struct ActiveRule {
    pub(crate) rule: Rule,
    matched: AtomicU64,
    fired: AtomicU64,
}

impl ActiveRule {
    /// How many requests it meant.
    pub(crate) fn matched(&self) -> u64 {
        self.matched.load(Ordering::SeqCst)
    }

    /// How many requests it did something to.
    pub(crate) fn fired(&self) -> u64 {
        self.fired.load(Ordering::SeqCst)
    }

    /// Counts a request that is meant; whether it is one to act on.
    fn is_due(&self) -> bool {
        let number = self.matched.fetch_add(1, Ordering::SeqCst) + 1;
        let Schedule { nth, after, times } = self.rule.schedule;
        if let Some(nth) = nth {
            return number == nth;
        }
        number > after.unwrap_or(0) && times.is_none_or(|times| self.fired() < times)
    }
}

/// A request, as far as rules look at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) broker: i32,
    pub(crate) api: ApiKey,
    pub(crate) client_id: &'a str,
    pub(crate) subjects: &'a Subjects,
}

/// What is to be done to one request.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// What is not applied but refused.
    pub(crate) refused: Refusals,
    /// What is applied, and answered with an error all the same.
    pub(crate) overruled: Refusals,
    /// How long it waits before it is applied.
    pub(crate) delay: Duration,
    /// What becomes of its answer.
    pub(crate) fate: Fate,
    /// The names of the rules.
    pub(crate) fired: Vec<String>,
}

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is sent.
    #[default]
    Sent,
    /// It is not.
    Dropped(When),
    /// The connection is closed instead.
    Closed(When),
    /// The connection says no more.
    Stalled(When),
    /// Its first bytes are sent, and the connection closed.
    Cut(usize),
    /// It is sent in pieces.
    Trickled { bytes: usize, pause: Duration },
    /// It is sent under a wrong number.
    Misnumbered,
}

impl Ruleset {
    /// Adds a rule that was checked.
    pub(crate) fn add(&self, rule: Rule) -> Result<Arc<ActiveRule>, RuleError> {
        let mut rules = self.lock();
        let refused = |reason: String| RuleError {
            rule: rule.name.clone(),
            reason,
        };
        if rules.iter().any(|known| known.rule.name == rule.name) {
            return Err(refused("a rule of this name holds already".to_owned()));
        }
        if rules.len() >= RULES_MAX {
            return Err(refused(format!("there are {RULES_MAX} rules already")));
        }
        let active = Arc::new(ActiveRule {
            rule,
            matched: AtomicU64::new(0),
            fired: AtomicU64::new(0),
        });
        rules.push(Arc::clone(&active));
        Ok(active)
    }

    /// Lets a rule hold no longer.
    pub(crate) fn remove(&self, rule: &Arc<ActiveRule>) {
        self.lock().retain(|known| !Arc::ptr_eq(known, rule));
    }

    /// The rules that hold.
    pub(crate) fn list(&self) -> Vec<Arc<ActiveRule>> {
        self.lock().clone()
    }

    /// What is to be done to a request. All rules that mean it act: errors each on their part, delays
    /// one after the other; of several fates of the answer the first rule's holds, and the others wait
    /// for their turn uncounted.
    pub(crate) fn judge(&self, request: &Incoming<'_>) -> Verdict {
        let mut verdict = Verdict::default();
        for active in self.lock().iter() {
            let Some(parts) = parts_meant(&active.rule, request) else {
                continue;
            };
            let fate = fate_of(&active.rule.action);
            if fate != Fate::Sent && verdict.fate != Fate::Sent {
                continue;
            }
            if !active.is_due() {
                continue;
            }
            active.fired.fetch_add(1, Ordering::SeqCst);
            verdict.fired.push(active.rule.name.clone());
            match active.rule.action {
                Action::Error(code) => parts.push_to(&mut verdict.refused, code),
                Action::ErrorAfter(code) => parts.push_to(&mut verdict.overruled, code),
                Action::Delay(delay) => verdict.delay += delay,
                _ => verdict.fate = fate,
            }
        }
        verdict
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<ActiveRule>>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fate_of(action: &Action) -> Fate {
    match *action {
        Action::Error(_) | Action::ErrorAfter(_) | Action::Delay(_) => Fate::Sent,
        Action::Drop(when) => Fate::Dropped(when),
        Action::Close(when) => Fate::Closed(when),
        Action::Stall(when) => Fate::Stalled(when),
        Action::Cut(bytes) => Fate::Cut(bytes),
        Action::Trickle { bytes, pause } => Fate::Trickled { bytes, pause },
        Action::WrongCorrelationId => Fate::Misnumbered,
    }
}

/// The part of a request that a rule means.
struct Parts {
    topic: Option<TopicSubject>,
    partition: Option<i32>,
    group: Option<ByteString>,
}

impl Parts {
    fn push_to(self, refusals: &mut Refusals, code: ErrorCode) {
        refusals.push(Refusal {
            code,
            topic: self.topic,
            partition: self.partition,
            group: self.group,
        });
    }
}

/// Which part of the request the rule means; none if it does not mean the request.
fn parts_meant(rule: &Rule, request: &Incoming<'_>) -> Option<Parts> {
    let selection = &rule.selection;
    let is_meant = selection.broker.is_none_or(|id| id == request.broker)
        && selection.api.is_none_or(|api| api == request.api)
        && selection
            .client_id
            .as_ref()
            .is_none_or(|id| id == request.client_id);
    if !is_meant {
        return None;
    }
    let subjects = request.subjects;
    let group = match &selection.group {
        None => None,
        Some(wanted) => {
            let groups = &subjects.groups;
            Some(groups.iter().find(|group| ***group == **wanted)?.clone())
        }
    };
    let topic = match &selection.topic {
        None => None,
        Some(wanted) => {
            let named = |topic: &&TopicSubject| {
                *topic.name == **wanted
                    && (topic.partitions.is_empty()
                        || selection
                            .partition
                            .is_none_or(|index| topic.partitions.contains(&index)))
            };
            let found = subjects.topics.iter().find(named).cloned();
            let every = || {
                subjects.every_topic.then(|| TopicSubject {
                    name: wanted.as_str().into(),
                    id: None,
                    partitions: Vec::new(),
                })
            };
            Some(found.or_else(every)?)
        }
    };
    Some(Parts {
        topic,
        partition: selection.partition,
        group,
    })
}

/// More would be a mistake, and slow.
const RULES_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use kafka_protocol::Uuid;

    use super::*;
    use crate::control::subjects::About;

    const LATE: Duration = Duration::from_millis(5);

    fn judge(ruleset: &Ruleset, api: ApiKey, subjects: &Subjects) -> Verdict {
        ruleset.judge(&Incoming {
            broker: 1,
            api,
            client_id: "c",
            subjects,
        })
    }

    fn about_t(partitions: &[i32]) -> Subjects {
        Subjects {
            topics: vec![TopicSubject {
                name: "t".into(),
                id: Some(Uuid([7; 16])),
                partitions: partitions.to_vec(),
            }],
            ..Subjects::default()
        }
    }

    #[test]
    fn a_rule_acts_on_what_it_means_alone() {
        let delay = || Rule::new("r", Action::Delay(LATE));
        let produce = ApiKey::Produce;
        for (rule, acts) in [
            (delay(), true),
            (delay().broker(1), true),
            (delay().broker(2), false),
            (delay().api(produce), true),
            (delay().api(ApiKey::Fetch), false),
            (delay().client_id("c"), true),
            (delay().client_id("d"), false),
            (delay().topic("t"), true),
            (delay().topic("u"), false),
            (delay().topic("t").partition(2), true),
            (delay().topic("t").partition(3), false),
            (delay().group("g"), false),
        ] {
            let ruleset = Ruleset::default();
            let text = format!("{rule:?}");
            let active = ruleset.add(rule).unwrap();
            let verdict = judge(&ruleset, produce, &about_t(&[1, 2]));
            assert_eq!(verdict.delay == LATE, acts, "{text}");
            assert_eq!((active.matched() == 1, active.fired() == 1), (acts, acts));
        }
    }

    #[test]
    fn requests_are_counted_from_the_first_that_is_meant() {
        let rule = || Rule::new("r", Action::Delay(LATE)).api(ApiKey::Fetch);
        for (rule, expected) in [
            (rule().nth(2), [false, true, false, false, false]),
            (rule().after(3), [false, false, false, true, true]),
            (rule().times(2), [true, true, false, false, false]),
            (rule().after(1).times(2), [false, true, true, false, false]),
        ] {
            let ruleset = Ruleset::default();
            let active = ruleset.add(rule).unwrap();
            let acted = expected.map(|_| {
                judge(&ruleset, ApiKey::Produce, &about_t(&[0]));
                judge(&ruleset, ApiKey::Fetch, &about_t(&[0])).delay == LATE
            });
            assert_eq!(acted, expected);
            assert_eq!(active.matched(), 5);
        }
    }

    #[test]
    fn errors_fall_on_their_parts_and_the_first_fate_holds() {
        let ruleset = Ruleset::default();
        let add = |name: &str, action| ruleset.add(Rule::new(name, action).topic("t"));
        add("close", Action::Close(When::Applied)).unwrap();
        let cut = add("cut", Action::Cut(3)).unwrap();
        let code = ErrorCode::NOT_LEADER_OR_FOLLOWER;
        let rule = Rule::new("one", Action::Error(code))
            .topic("t")
            .partition(1);
        ruleset.add(rule).unwrap();
        let verdict = judge(&ruleset, ApiKey::Produce, &about_t(&[0, 1]));
        assert_eq!(verdict.fate, Fate::Closed(When::Applied));
        assert_eq!(verdict.fired, ["close", "one"]);
        assert_eq!((cut.matched(), cut.fired()), (0, 0));
        let by_id = About::topic_by("", Uuid([7; 16]));
        assert_eq!(verdict.refused.of(by_id.partition(1)), Some(code));
        assert_eq!(verdict.refused.of(by_id.partition(0)), None);
        assert!(verdict.overruled.is_empty());
    }

    #[test]
    fn whoever_asks_for_every_topic_asks_for_each() {
        let ruleset = Ruleset::default();
        let code = ErrorCode::LEADER_NOT_AVAILABLE;
        let rule = Rule::new("r", Action::Error(code)).topic("t").partition(1);
        ruleset.add(rule).unwrap();
        let every = Subjects {
            every_topic: true,
            ..Subjects::default()
        };
        let verdict = judge(&ruleset, ApiKey::Metadata, &every);
        assert_eq!(
            verdict.refused.of(About::topic("t").partition(1)),
            Some(code)
        );
        assert_eq!(verdict.refused.of(About::topic("t")), None);
    }

    #[test]
    fn a_name_holds_once_until_it_is_removed() {
        let ruleset = Ruleset::default();
        let rule = || Rule::new("r", Action::Delay(LATE));
        let first = ruleset.add(rule()).unwrap();
        assert!(ruleset.add(rule()).is_err());
        ruleset.remove(&first);
        assert!(
            judge(&ruleset, ApiKey::Fetch, &about_t(&[]))
                .fired
                .is_empty()
        );
        ruleset.add(rule()).unwrap();
        assert_eq!(ruleset.list().len(), 1);
    }
}
