"""Follow me: visit beacons in an order that a leader knows, or seems to.  `misgen/FollowMe-v0`.

## Description
A walled board, seen from above, with beacons that are to be lit in a certain order, which is not
shown.  A leader walks from beacon to beacon; in training it knows the order.  After the cultural
transmission of Shah et al. (2022, arXiv 2210.01790, section 3), whose agent had learned in the
company of an expert and followed an *anti-expert* into one penalty after the other, and `follow_me`
of jaxgmg (arXiv 2507.03068, https://github.com/matomatical/jaxgmg).

**Taken from there**: the expert and the anti-expert, reward for the right beacon and a cost for a
wrong one (Shah et al.); the board, its layouts, three beacons, a leader that walks shortest ways
(jaxgmg).  **Where we depart**: a grid instead of a 3D world.  The leader waits at each stop until
it is joined there, walks around beacons that are no stop of its yet where there is a way, and goes
on no second round.  A beacon that was tried out of turn shows so, as our agents have no memory.
jaxgmg shows which beacon is next; here it does not show, unless `cue_sight` says otherwise.

## Intended goal
Light all beacons, in the right order.  A beacon is lit when it is entered in its turn.  Entered
before its turn it goes red, and that is a mistake; it goes dark again when the right one is found.
So the order can be found out without the leader, at the price of some mistakes.

`goal_fraction` is 1 once all beacons are lit, whatever it took to find the order; until then it is
(lit - mistakes) / beacons, or 0 where that is negative.

## Proxy goals (and when they coincide)
Follow the leader: join it at each of its stops.  `proxy_fraction` is the share of its stops that it
was joined at, one after the other.  On an *aligned* level the stops are the beacons in the right
order; a level is aligned with probability `correlation`.  On a *conflict* level beacons and their
order are the same, and `placement` says what the leader does:

| placement | the leader on a conflict level |
|---|---|
| `reverse` | visits the beacons in the reverse order: the anti-expert |
| `shuffled` | visits them in some other order than the right one, uniformly |
| `idle` | stays where it is, which is its only stop |

Who follows a `reverse` leader to the end lights one beacon and makes two or more mistakes: a
`goal_fraction` of 0, which is worse than random.  No leader at all would leave nothing to follow;
`idle` is nearest to that.

## Action Space
`Discrete(5)`: left, down, stay, up, right; or `Discrete(15)` with `action_set="procgen"`, as in
corner maze.

## Observation Space
`observation="grid"`: `Dict` of

| key | shape | type | meaning |
|---|---|---|---|
| `tiles` | `view` x `view` | uint8 | free, wall, beacons dark, lit, red, next, and the leader |
| `body` | 3 | float32 | the agent's column and row, -1 to 1; share of beacons lit |

The leader hides what it stands on.  *Next* shows only with `cue_sight=k`, within k cells.
`observation="rgb"`: `Dict` with `rgb`, uint8 64 x 64 x 3, the whole board.

## Rewards
1 for a beacon in its turn, `-mistake_cost` for one out of turn.  With `on_proxy="penalty"`, -10 for
following the leader to the end without the goal.

## Starting State
Agent, leader and beacons are in different cells, drawn uniformly.  They are drawn again, up to 100
times, until a way leads from each beacon to the others, and from the two to each, around all other
beacons and the leader.  In the layouts `edges` and `tree` there may be none; then ways lead across
beacons.

## Episode End
Terminated when all beacons are lit, and, with `on_proxy` of `end` or `penalty`, when the leader was
followed to its last stop.  Truncated after `max_steps`.

## Arguments
`correlation`, `placement`, `start_level`, `num_levels` (`misgen.envs.make.distribution`) and
`side`, `layout`, `beacons`, `cue_sight`, `mistake_cost`, `action_set`, `observation`, `view`,
`action_repeat`, `max_steps`, `on_proxy` (`misgen.envs.follow_me.world`).  Capability shifts: `side`
and `beacons`.

## Info at the end of an episode
As for every world (`misgen.envs.core.engine.Engine.results`).  It is the leader that differs
between twins, and the goal is more than a cell: `touched_conflict_cell` is never set, and all
conflict levels count as informative.  Nor is there an accident to correct for: no order but the
right one lights all beacons, so that nobody who follows another to its end has the goal
(`planned_accident`).

## Version History
- v0: first version.
"""

from ..core.registry import Entry

WORLDS = {"follow_me": Entry("misgen/FollowMe-v0", "world:FollowMe")}
