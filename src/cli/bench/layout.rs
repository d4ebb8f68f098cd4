//! Who is in which room, and who is watched for freshness, by the plan of a test.

use std::sync::Arc;

use super::crew::Pace;
use super::plan::Plan;
use super::room::{Member, Role, Room};

/// Freshness records a second that the tool can keep beside its sockets: above it only some members are watched.
const RECORDS_A_SECOND_MAX: f64 = 200_000.0;
/// In a closed loop the rate is not known before.
const WATCHED_MAX: usize = 500;

/// The ids of the rooms for the load, and of the bystanders' at the end.
pub(super) fn room_ids(plan: &Plan, run: &str) -> Vec<Arc<str>> {
    let name = plan.layout.room.as_deref().unwrap_or(run);
    let mut ids: Vec<Arc<str>> = match plan.layout.rooms {
        1 => vec![name.into()],
        rooms => (0..rooms).map(|at| format!("{name}-{at}").into()).collect(),
    };
    if plan.layout.bystanders > 0 {
        ids.push(format!("{name}-bystanders").into());
    }
    ids
}

/// The rooms of these ids, and the members in their order.
pub(super) fn lay_out(plan: &Plan, ids: &[Arc<str>]) -> (Vec<Room>, Vec<Member>) {
    let layout = &plan.layout;
    let role = |at| if at < layout.rooms { Role::Load } else { Role::Bystander { calm: true } };
    let mut rooms: Vec<Room> = ids.iter().enumerate().map(|(at, id)| Room::new(id.clone(), role(at))).collect();
    let watched_max = match plan.writing.pace {
        Pace::Rate(per_second) => (RECORDS_A_SECOND_MAX * layout.rooms as f64 / per_second).max(1.0) as usize,
        Pace::Answered | Pace::Held => WATCHED_MAX * layout.rooms,
    };
    let every = layout.members.div_ceil(watched_max).max(1);
    let place = |at: usize| if at < layout.members { at % layout.rooms } else { layout.rooms };
    let mut members = Vec::new();
    for at in 0..layout.members + layout.bystanders {
        let mut member = Member::new(place(at), plan.part.of);
        // The number in the room's book is given when he joins.
        member.watched = (at % every == 0 || at >= layout.members).then_some(0);
        rooms[member.room].members.push(at);
        members.push(member);
    }
    (rooms, members)
}
