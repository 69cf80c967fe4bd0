package reset

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"offsets/inspect"
)

// Changer plans and applies changes on one cluster.
type Changer struct {
	cl      *kgo.Client
	adm     *kadm.Client
	cluster *inspect.Cluster

	// Waiting, if set, is told why a write is tried again, and for how long it
	// will be, when that takes more than a moment.
	Waiting func(group string, why error, limit time.Duration)
	// Writing, if set, is told right before the first write to a group: from then
	// on its end is waited for.
	Writing func(group string)
}

// New returns a changer that uses the given client, which stays the caller's.
func New(cl *kgo.Client) *Changer {
	return &Changer{cl: cl, adm: kadm.NewClient(cl), cluster: inspect.New(cl)}
}

// Plans describes the groups and makes a plan for each. Groups that could not
// be described are in the problems. createGroup plans for groups that do not
// exist.
//
// Errors: [ErrFuture], [ErrNoTopic], [ErrNothingSelected], or why the cluster
// could not be read.
func (c *Changer) Plans(ctx context.Context, groups []string, o Options, createGroup bool) ([]Plan, []inspect.Problem, error) {
	return c.PlansEach(ctx, groups, func(string) Options { return o }, createGroup)
}

// PlansEach is Plans with options for each group.
func (c *Changer) PlansEach(ctx context.Context, groups []string, options func(group string) Options, createGroup bool) ([]Plan, []inspect.Problem, error) {
	var topics []string
	fixed := map[string]Options{}
	for _, g := range groups {
		o, err := options(g).fixed()
		if err != nil {
			return nil, nil, err
		}
		fixed[g] = o
		topics = append(topics, o.topics()...)
	}
	described, problems, err := c.describe(ctx, groups, topics, createGroup)
	if err != nil {
		return nil, nil, err
	}
	var plans []Plan
	for _, g := range described {
		o := fixed[g.Group]
		g = asType(g, o.Type)
		known, err := c.ask(ctx, g, o)
		if err != nil {
			return nil, nil, err
		}
		p, err := Build(g, o, known)
		if err != nil {
			return nil, nil, err
		}
		plans = append(plans, p)
	}
	return plans, problems, anySelected(plans)
}

// anySelected: of many groups some may have nothing to change, but not all.
func anySelected(plans []Plan) error {
	empty := func(p Plan) bool { return len(p.Partitions) == 0 && !p.Deletes }
	if len(plans) > 0 && !slices.ContainsFunc(plans, func(p Plan) bool { return !empty(p) }) {
		return fmt.Errorf("%w: none of the %d groups has such a commit", ErrNothingSelected, len(plans))
	}
	return nil
}

// describe reads groups with all partitions of their topics and of the named
// ones.
func (c *Changer) describe(ctx context.Context, groups, topics []string, createGroup bool) ([]inspect.Group, []inspect.Problem, error) {
	d, err := c.cluster.Describe(ctx, groups, inspect.DescribeOptions{AllPartitions: true, Topics: topics, CreateMissing: createGroup, Pending: true})
	if err != nil {
		return nil, nil, err
	}
	var out []inspect.Group
	for g, err := range d.Groups {
		if err != nil {
			return nil, nil, err
		}
		out = append(out, g)
	}
	return out, d.Problems, nil
}

// ask finds what the positions need to know beyond the group.
func (c *Changer) ask(ctx context.Context, g inspect.Group, o Options) (Known, error) {
	k := Known{at: map[int64]map[inspect.TopicPartition]inspect.AtTime{}, as: map[int64]map[string]map[inspect.TopicPartition]inspect.StatePartition{}}
	for _, p := range o.positions() {
		ms := p.time.UnixMilli()
		switch {
		case p.kind == since && k.at[ms] == nil:
			times := map[inspect.TopicPartition]time.Time{}
			for _, tp := range readable(g) {
				times[tp] = p.time
			}
			found, err := c.cluster.OffsetsAt(ctx, times)
			if err != nil {
				return k, err
			}
			k.at[ms] = found
		case p.kind == asOf && g.Type != inspect.Share && k.as[ms] == nil:
			state, err := c.stateThen(ctx, &g, p.time)
			if err != nil {
				return k, err
			}
			k.as[ms] = map[string]map[inspect.TopicPartition]inspect.StatePartition{g.Group: state}
		}
	}
	return k, ctx.Err()
}

func readable(g inspect.Group) (out []inspect.TopicPartition) {
	for i := range g.Partitions {
		if p := &g.Partitions[i]; p.LogStart != nil {
			out = append(out, inspect.TopicPartition{Topic: p.Topic, Partition: p.Partition})
		}
	}
	return out
}

// stateThen is what the group had committed at a time. A partition of the group
// that is not in it had certainly nothing.
func (c *Changer) stateThen(ctx context.Context, g *inspect.Group, at time.Time) (map[inspect.TopicPartition]inspect.StatePartition, error) {
	state, complete, err := c.stateOf(ctx, g.Group, at)
	if err != nil || complete {
		return state, err
	}
	for i := range g.Partitions {
		row := &g.Partitions[i]
		tp := inspect.TopicPartition{Topic: row.Topic, Partition: row.Partition}
		if _, known := state[tp]; !known {
			state[tp] = inspect.StatePartition{Topic: row.Topic, Partition: row.Partition} // not certain
		}
	}
	return state, nil
}

// stateOf replays the commit log for one group up to a time; the zero time is
// now. It also says whether what is not in it was certainly not committed.
func (c *Changer) stateOf(ctx context.Context, group string, at time.Time) (map[inspect.TopicPartition]inspect.StatePartition, bool, error) {
	var failed []string
	is := func(name string) bool { return name == group }
	s := c.cluster.State(ctx, inspect.StateOptions{
		AsOf: at, Groups: is, Filter: inspect.LogFilter{OnlyGroups: []string{group}, Groups: is}, Absent: true,
		Problem: func(err error) { failed = append(failed, err.Error()) },
	})
	if len(failed) > 0 {
		return nil, false, fmt.Errorf("reading the commit log: %s", strings.Join(failed, "; "))
	}
	out := map[inspect.TopicPartition]inspect.StatePartition{}
	for _, g := range s.Groups {
		for _, p := range g.Partitions {
			out[inspect.TopicPartition{Topic: p.Topic, Partition: p.Partition}] = p
		}
	}
	return out, s.Complete, ctx.Err()
}

// RestorePlan plans to put commits in place (see [Restore]).
func (c *Changer) RestorePlan(ctx context.Context, group string, wanted []Wanted, o RestoreOptions) (Plan, error) {
	var topics []string
	epochs := map[inspect.TopicPartition]int32{}
	for _, w := range wanted {
		topics = append(topics, w.Topic)
	}
	g, err := c.describeOne(ctx, group, topics)
	if err != nil {
		return Plan{}, err
	}
	known := map[inspect.TopicPartition]bool{}
	for _, tp := range readable(g) {
		known[tp] = true
	}
	for _, w := range wanted {
		if w.Commit != nil && w.Commit.LeaderEpoch >= 0 && known[w.TopicPartition] && o.SameCluster {
			epochs[w.TopicPartition] = w.Commit.LeaderEpoch
		}
	}
	ends, err := c.cluster.EpochEnd(ctx, epochs)
	if err != nil {
		return Plan{}, err
	}
	return Restore(g, wanted, o, ends), nil
}

// describeOne describes a group; one that does not exist is empty.
func (c *Changer) describeOne(ctx context.Context, group string, topics []string) (inspect.Group, error) {
	groups, problems, err := c.describe(ctx, []string{group}, topics, true)
	switch {
	case err != nil:
		return inspect.Group{}, err
	case len(problems) > 0:
		return inspect.Group{}, fmt.Errorf("%s: %w", problems[0].What, problems[0].Err)
	case len(groups) != 1:
		return inspect.Group{}, fmt.Errorf("group %s: %w", group, inspect.ErrUnknownGroup)
	}
	return groups[0], nil
}

// DeletePlans plans to delete groups, or their commits of some topics.
func (c *Changer) DeletePlans(ctx context.Context, groups []string, o DeleteOptions) ([]Plan, []inspect.Problem, error) {
	described, problems, err := c.describe(ctx, groups, nil, false)
	if err != nil {
		return nil, nil, err
	}
	var plans []Plan
	for _, g := range described {
		p, err := Delete(g, o)
		if err != nil {
			return nil, nil, err
		}
		plans = append(plans, p)
	}
	return plans, problems, anySelected(plans)
}

// Times fills in the times of the records at from and to.
func (c *Changer) Times(ctx context.Context, p *Plan) error {
	var places []inspect.Place
	place := func(ch *Change, offset int64) inspect.Place {
		return inspect.Place{TopicPartition: inspect.TopicPartition{Topic: ch.Topic, Partition: ch.Partition}, Offset: min(offset, *ch.LogEnd), LogStart: *ch.LogStart, LogEnd: *ch.LogEnd}
	}
	for i := range p.Partitions {
		ch := &p.Partitions[i]
		for _, offset := range []*int64{ch.From, ch.To} {
			if offset != nil && ch.LogStart != nil && ch.LogEnd != nil {
				places = append(places, place(ch, *offset))
			}
		}
	}
	times, err := c.cluster.TimesAround(ctx, places)
	if err != nil {
		return err
	}
	show := func(ch *Change, offset *int64) *string {
		if offset == nil || ch.LogStart == nil || ch.LogEnd == nil {
			return nil
		}
		after := times[place(ch, *offset)].After
		if after == nil {
			return nil
		}
		return ptr(time.UnixMilli(*after).UTC().Format(inspect.TimeFormat))
	}
	for i := range p.Partitions {
		ch := &p.Partitions[i]
		ch.FromTime, ch.ToTime = show(ch, ch.From), show(ch, ch.To)
	}
	return nil
}
