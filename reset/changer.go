package reset

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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
	fixed := map[string]Options{}
	for _, g := range groups {
		o, err := options(g).fixed()
		if err != nil {
			return nil, nil, err
		}
		fixed[g] = o
	}
	topics := func(group string) []string { o := fixed[group]; return o.topics() }
	described, problems, err := c.describe(ctx, groups, topics, createGroup)
	if err != nil {
		return nil, nil, err
	}
	for i := range described {
		described[i] = asType(described[i], fixed[described[i].Group].Type)
	}
	known, err := c.ask(ctx, described, fixed)
	if err != nil {
		return nil, nil, err
	}
	plans := make([]Plan, 0, len(described))
	for i := range described {
		p, err := Build(described[i], fixed[described[i].Group], known)
		if err != nil {
			return nil, nil, err
		}
		described[i] = inspect.Group{} // the plan has what is needed of it
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

// describe reads groups with all partitions of their topics and of those that
// are named for each.
func (c *Changer) describe(ctx context.Context, groups []string, topics func(group string) []string, createGroup bool) ([]inspect.Group, []inspect.Problem, error) {
	d, err := c.cluster.Describe(ctx, groups, inspect.DescribeOptions{AllPartitions: true, TopicsOf: topics, CreateMissing: createGroup, Pending: true})
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

// ask finds what the positions need to know beyond the groups: for all groups
// together, because each look at the commit log reads a good part of it.
func (c *Changer) ask(ctx context.Context, groups []inspect.Group, options map[string]Options) (Known, error) {
	k := Known{at: map[int64]map[inspect.TopicPartition]inspect.AtTime{}, as: map[int64]map[string]map[inspect.TopicPartition]inspect.StatePartition{}}
	times := map[int64]map[inspect.TopicPartition]time.Time{}
	states := map[int64][]*inspect.Group{}
	for i := range groups {
		g := &groups[i]
		o := options[g.Group]
		for _, p := range o.positions() {
			switch ms := p.time.UnixMilli(); p.kind {
			case since:
				if times[ms] == nil {
					times[ms] = map[inspect.TopicPartition]time.Time{}
				}
				for _, tp := range readable(*g) {
					times[ms][tp] = p.time
				}
			case asOf:
				if of := states[ms]; g.Type != inspect.Share && (len(of) == 0 || of[len(of)-1] != g) {
					states[ms] = append(of, g)
				}
			}
		}
	}
	for ms, wanted := range times {
		found, err := c.cluster.OffsetsAt(ctx, wanted)
		if err != nil {
			return k, err
		}
		k.at[ms] = found
	}
	for ms, of := range states {
		state, err := c.statesThen(ctx, of, time.UnixMilli(ms))
		if err != nil {
			return k, err
		}
		k.as[ms] = state
	}
	return k, context.Cause(ctx)
}

func readable(g inspect.Group) (out []inspect.TopicPartition) {
	for i := range g.Partitions {
		if p := &g.Partitions[i]; p.LogStart != nil {
			out = append(out, inspect.TopicPartition{Topic: p.Topic, Partition: p.Partition})
		}
	}
	return out
}

// statesThen is what groups had committed at a time. A partition that is not in
// it had certainly nothing.
func (c *Changer) statesThen(ctx context.Context, groups []*inspect.Group, at time.Time) (map[string]map[inspect.TopicPartition]inspect.StatePartition, error) {
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = g.Group
	}
	states, log, failed := c.stateOf(ctx, names, at)
	if len(failed) > 0 {
		return nil, errors.Join(failed...)
	}
	for _, g := range groups {
		if log.CompleteFor(g.Group) {
			continue
		}
		state := states[g.Group]
		for i := range g.Partitions {
			row := &g.Partitions[i]
			tp := inspect.TopicPartition{Topic: row.Topic, Partition: row.Partition}
			if _, known := state[tp]; !known {
				state[tp] = inspect.StatePartition{Topic: row.Topic, Partition: row.Partition} // not certain
			}
		}
	}
	return states, nil
}

// stateOf replays the commit log for some groups up to a time; the zero time is
// now. failed is what could not be read of it.
func (c *Changer) stateOf(ctx context.Context, groups []string, at time.Time) (out map[string]map[inspect.TopicPartition]inspect.StatePartition, log *inspect.LogState, failed []error) {
	out = make(map[string]map[inspect.TopicPartition]inspect.StatePartition, len(groups))
	if len(groups) == 0 {
		return out, &inspect.LogState{}, nil // no filter would mean all
	}
	for _, name := range groups {
		out[name] = map[inspect.TopicPartition]inspect.StatePartition{}
	}
	is := func(name string) bool { return out[name] != nil }
	s := c.cluster.State(ctx, inspect.StateOptions{
		AsOf: at, Groups: is, Filter: inspect.LogFilter{OnlyGroups: groups, Groups: is}, Absent: true,
		Problem: func(err error) { failed = append(failed, fmt.Errorf("reading the commit log: %w", err)) },
	})
	for _, g := range s.Groups {
		for _, p := range g.Partitions {
			out[g.Group][inspect.TopicPartition{Topic: p.Topic, Partition: p.Partition}] = p
		}
	}
	return out, s, failed
}

// RestorePlan plans to put commits in place (see [Restore]).
func (c *Changer) RestorePlan(ctx context.Context, group string, wanted []Wanted, o RestoreOptions) (Plan, error) {
	plans, err := c.RestorePlans(ctx, []Restoring{{Group: group, Wanted: wanted}}, o)
	if err != nil {
		return Plan{}, err
	}
	return plans[0], nil
}

// Restoring is what shall be committed for a group.
type Restoring struct {
	Group  string
	Wanted []Wanted
	Type   string // as in [RestoreOptions], which has it for all
}

// RestorePlans is RestorePlan for several groups, each named once, with the same
// few requests. A group that does not exist is empty.
func (c *Changer) RestorePlans(ctx context.Context, all []Restoring, o RestoreOptions) ([]Plan, error) {
	index := make(map[string]int, len(all))
	var names []string
	for i, r := range all {
		if _, twice := index[r.Group]; twice {
			return nil, fmt.Errorf("group %s: it is there twice", r.Group)
		}
		index[r.Group], names = i, append(names, r.Group)
	}
	d, err := c.cluster.Describe(ctx, names, inspect.DescribeOptions{CreateMissing: true, Pending: true, TopicsOf: func(group string) (topics []string) {
		for _, w := range all[index[group]].Wanted {
			topics = append(topics, w.Topic)
		}
		return topics
	}})
	if err != nil {
		return nil, err
	}
	groups := make([]*inspect.Group, len(all))
	for g, err := range d.Groups {
		if err != nil {
			return nil, err
		}
		groups[index[g.Group]] = &g
	}
	if len(d.Problems) > 0 {
		return nil, fmt.Errorf("%s: %w", d.Problems[0].What, d.Problems[0].Err)
	}
	epochs := epochQuestions{}
	for i, g := range groups {
		if g == nil {
			return nil, fmt.Errorf("group %s: %w", names[i], inspect.ErrUnknownGroup)
		}
		if o.SameCluster {
			epochs.add(*g, all[i].Wanted)
		}
	}
	if err := epochs.ask(ctx, c.cluster); err != nil {
		return nil, err
	}
	plans := make([]Plan, len(all))
	for i, g := range groups {
		of := o
		of.Type = cmp.Or(all[i].Type, o.Type)
		plans[i], groups[i] = Restore(*g, all[i].Wanted, of, epochs.answers(all[i].Wanted)), nil
	}
	return plans, nil
}

// epochQuestions are leader epochs of which the end is wanted: -1 until it is
// known. A request has one epoch a partition, but groups may differ.
type epochQuestions map[epochOf]int64

type epochOf struct {
	inspect.TopicPartition
	epoch int32
}

func (q epochQuestions) add(g inspect.Group, wanted []Wanted) {
	known := map[inspect.TopicPartition]bool{}
	for _, tp := range readable(g) {
		known[tp] = true
	}
	for _, w := range wanted {
		if w.Commit != nil && w.Commit.LeaderEpoch >= 0 && known[w.TopicPartition] {
			q[epochOf{w.TopicPartition, w.Commit.LeaderEpoch}] = -1
		}
	}
}

func (q epochQuestions) ask(ctx context.Context, cluster *inspect.Cluster) error {
	var rounds []map[inspect.TopicPartition]int32
	for e := range q {
		i := slices.IndexFunc(rounds, func(r map[inspect.TopicPartition]int32) bool { _, taken := r[e.TopicPartition]; return !taken })
		if i < 0 {
			i, rounds = len(rounds), append(rounds, map[inspect.TopicPartition]int32{})
		}
		rounds[i][e.TopicPartition] = e.epoch
	}
	for _, r := range rounds {
		ends, err := cluster.EpochEnd(ctx, r)
		if err != nil {
			return err
		}
		for tp, end := range ends {
			q[epochOf{tp, r[tp]}] = end
		}
	}
	return nil
}

func (q epochQuestions) answers(wanted []Wanted) map[inspect.TopicPartition]int64 {
	out := map[inspect.TopicPartition]int64{}
	for _, w := range wanted {
		if w.Commit == nil {
			continue
		}
		if end, asked := q[epochOf{w.TopicPartition, w.Commit.LeaderEpoch}]; asked && end >= 0 {
			out[w.TopicPartition] = end
		}
	}
	return out
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

// Times fills in the times of the records at from and to of all plans.
func (c *Changer) Times(ctx context.Context, plans ...*Plan) error {
	var places []inspect.Place
	place := func(ch *Change, offset int64) inspect.Place {
		return inspect.Place{TopicPartition: inspect.TopicPartition{Topic: ch.Topic, Partition: ch.Partition}, Offset: min(offset, *ch.LogEnd), LogStart: *ch.LogStart, LogEnd: *ch.LogEnd}
	}
	for _, p := range plans {
		for i := range p.Partitions {
			ch := &p.Partitions[i]
			for _, offset := range []*int64{ch.From, ch.To} {
				if offset != nil && ch.LogStart != nil && ch.LogEnd != nil {
					places = append(places, place(ch, *offset))
				}
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
	for _, p := range plans {
		for i := range p.Partitions {
			ch := &p.Partitions[i]
			ch.FromTime, ch.ToTime = show(ch, ch.From), show(ch, ch.To)
		}
	}
	return nil
}
