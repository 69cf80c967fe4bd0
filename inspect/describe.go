package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// chunkSize bounds how many groups are in memory at once.
const chunkSize = 500

// chunksInFlight is how many of them are read at once.
const chunksInFlight = 2

// DescribeOptions says what to describe beyond the groups.
type DescribeOptions struct {
	// AllPartitions adds partitions without commit or owner of every topic
	// that the group has to do with.
	AllPartitions bool
	// Topics adds all partitions of these topics, whether the group knows
	// them or not.
	Topics []string
	// TopicsOf adds such topics to one group each; nil adds none.
	TopicsOf func(group string) []string
	// Pending also asks for commits that a transaction holds back: one request
	// more.
	Pending bool
	// ShareConfig reads the configurations of share groups, and the ends of their
	// dead-letter topics: one request more.
	ShareConfig bool
	// ReadCommitted ends the lag at the last stable offset, which is as far as
	// a consumer of committed records gets.
	ReadCommitted bool
	// Time reads the next unread record of each partition that is behind, for
	// how old it is.
	Time bool
	// Exact reads everything that is unread, and counts the records.
	Exact bool
	// Now is what ages are counted from.
	Now time.Time

	// Known is where the names come from, if they do: then groups are not listed
	// a second time.
	Known *Known

	withoutEnds  bool // commits and members are all that is wanted
	leaveOutGone bool // the names are those of a listing; so with Known, too
	// CreateMissing describes a group that does not exist as one without
	// members and commits, instead of reporting it.
	CreateMissing bool
}

// fewGroups are looked up at their coordinators; for more, all groups are
// listed.
const fewGroups = 100

// Description is the answer of [Cluster.Describe].
type Description struct {
	// Groups are read as they are ranged over, in the order asked for; groups
	// that could not be described are left out and in Problems.
	Groups iter.Seq2[Group, error]
	// Visibility and Problems are complete when Groups has been ranged over.
	Visibility Visibility
	Problems   []Problem
}

// Describe reads the named groups: their members, what they have committed,
// and where the logs of those partitions begin and end. Commits are read
// before ends, so that a lag is never negative only because records were
// written in between.
func (c *Cluster) Describe(ctx context.Context, names []string, o DescribeOptions) (*Description, error) {
	d := &Description{}
	var l *listing
	var err error
	both(func() { l, err = c.listingFor(ctx, names, o.Known) }, func() { d.Visibility = c.visibility(ctx) })
	if err != nil {
		return nil, err
	}
	d.Groups = func(yield func(Group, error) bool) {
		reading, cancel := context.WithCancel(ctx)
		defer cancel()
		left := make(chan struct{})
		defer close(left)
		told, read := map[string]bool{}, 0
		for chunk := range c.chunks(reading, left, l, names, o) {
			read += chunk.names
			for _, p := range chunk.problems { // a named topic is everybody's
				if !told[p.What] {
					d.Problems = append(d.Problems, p)
				}
				told[p.What] = true
			}
			for _, g := range chunk.groups {
				if chunk.err == nil && !yield(g, nil) {
					return
				}
			}
			if chunk.err != nil {
				yield(Group{}, chunk.err)
				return
			}
		}
		if read < len(names) { // the time was up before the rest
			yield(Group{}, context.Cause(ctx))
		}
	}
	return d, nil
}

// listingFor finds out the types of the named groups.
func (c *Cluster) listingFor(ctx context.Context, names []string, known *Known) (*listing, error) {
	switch {
	case known != nil:
		return known.listing, nil
	case len(names) <= fewGroups:
		return c.lookUp(ctx, names), nil
	}
	l, err := c.listGroups(ctx)
	if err != nil || len(l.problems) == 0 {
		return l, err
	}
	// Those that are missing may be with the broker that did not answer.
	l.unseen = map[string]error{}
	for _, name := range names {
		if _, ok := l.groups[name]; !ok {
			l.unseen[name] = l.problems[0].Err
		}
	}
	return l, nil
}

// describedChunk is what one chunk of groups has come to.
type describedChunk struct {
	names    int // asked for
	groups   []Group
	problems []Problem
	err      error
}

// chunks describes groups, some at a time. While one chunk is looked at, the
// next is being read; no more than that is in memory. When ctx ends no chunk is
// begun any more, but what those in flight have read is passed on; when left is
// closed nobody reads any more.
func (c *Cluster) chunks(ctx context.Context, left <-chan struct{}, l *listing, names []string, o DescribeOptions) <-chan describedChunk {
	out := make(chan describedChunk)
	slots := make(chan struct{}, chunksInFlight)
	results := make(chan chan describedChunk, chunksInFlight)
	go func() {
		defer close(results)
		for chunk := range slices.Chunk(names, chunkSize) {
			if ctx.Err() != nil {
				return
			}
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			one := make(chan describedChunk, 1)
			select {
			case results <- one:
			case <-left:
				return
			}
			go func() {
				defer func() { <-slots }()
				groups, problems, err := c.describeChunk(ctx, l, chunk, o)
				one <- describedChunk{len(chunk), groups, problems, err}
			}()
		}
	}()
	go func() {
		defer close(out)
		for one := range results {
			select {
			case out <- <-one:
			case <-left:
				return
			}
		}
	}()
	return out
}

func (c *Cluster) describeChunk(ctx context.Context, l *listing, names []string, o DescribeOptions) ([]Group, []Problem, error) {
	var problems []Problem
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		err := l.unseen[name]
		if err != nil {
			problems = append(problems, problem("group "+name, err))
		}
		return err != nil
	})
	var described *descriptions
	var commits, starts kadm.FetchOffsetsResponses
	var lags map[string]map[TopicPartition]int64
	var configs map[string]configured
	committing, share := byOffsets(l, names)
	var wg sync.WaitGroup
	wg.Go(func() { described = c.describeGroups(ctx, l, names) })
	wg.Go(func() { starts, lags = c.startOffsets(ctx, l, share) })
	wg.Go(func() { commits = c.commits(ctx, l, committing) })
	if o.ShareConfig && len(share) > 0 {
		wg.Go(func() { configs = c.shareConfigs(ctx, share) })
	}
	wg.Wait()
	problems = append(problems, described.problems...)
	var groups []Group
	for _, name := range names {
		g, ok := described.groups[name]
		fetched, isCommits := commits[name]
		if !isCommits {
			fetched = starts[name]
		}
		switch {
		case described.gone[name] && len(fetched.Fetched) == 0 && (o.Known != nil || o.leaveOutGone):
			continue // it went while all were looked at
		case ok:
		case described.failed[name] && len(fetched.Fetched) == 0:
			continue // the problem is on the list
		case described.failed[name] || len(fetched.Fetched) > 0:
			// Not describable, but its commits are readable: show those.
			g = Group{Group: name, Type: cmp.Or(l.groups[name].Type, Classic), State: l.groups[name].State, Coordinator: l.groups[name].Coordinator, Members: []Member{}}
		case o.CreateMissing:
			g = Group{Group: name, Type: Classic, State: "Dead", Members: []Member{}}
		default:
			problems = append(problems, problem("group "+name, ErrUnknownGroup))
			continue
		}
		if fetched.Err != nil && len(fetched.Fetched) == 0 && !isMissing(fetched.Err) {
			problems = append(problems, problem("commits of group "+name, fetched.Err))
		}
		if config, asked := configs[name]; asked {
			problems = append(problems, g.configure(config)...)
		}
		g.Partitions = rows(&g, fetched.Fetched)
		for i := range g.Partitions {
			p := &g.Partitions[i]
			if lag, told := lags[name][TopicPartition{p.Topic, p.Partition}]; told {
				p.shareLag = &lag
			}
		}
		groups = append(groups, g)
	}
	var err error
	if !o.withoutEnds {
		var hidden []Problem
		hidden, err = c.complete(ctx, groups, o)
		problems = append(problems, hidden...)
	}
	if o.Pending && err == nil {
		c.markPending(ctx, groups, committing)
	}
	return groups, problems, err
}

// byOffsets tells groups that commit from share groups, which have start
// offsets instead.
func byOffsets(l *listing, names []string) (committing, share []string) {
	for _, name := range names {
		if l.groups[name].Type == Share {
			share = append(share, name)
		} else {
			committing = append(committing, name)
		}
	}
	return committing, share
}

// rows makes a row of every partition that has a commit or an owner.
func rows(g *Group, fetched kadm.OffsetResponses) []Partition {
	byTP := map[TopicPartition]*Partition{}
	row := func(tp TopicPartition) *Partition {
		p := byTP[tp]
		if p == nil {
			p = &Partition{Topic: tp.Topic, Partition: tp.Partition}
			byTP[tp] = p
		}
		return p
	}
	fetched.Each(func(r kadm.OffsetResponse) {
		tp := TopicPartition{r.Topic, r.Partition}
		if r.Err != nil {
			p := row(tp)
			p.Status, p.Error = statusOf(r.Err), nonEmpty(r.Err.Error())
			return
		}
		if r.At < 0 {
			// The broker's way to say that there is no commit. Of a share group it
			// names the partitions that the group was given and has not read yet.
			if g.Type == Share {
				row(tp)
			}
			return
		}
		p := row(tp)
		p.Committed, p.Metadata = &r.At, &r.Metadata
		if r.LeaderEpoch >= 0 {
			p.LeaderEpoch = &r.LeaderEpoch
		}
	})
	for i := range g.Members {
		m := &g.Members[i]
		for _, t := range m.Assignment {
			for _, partition := range t.Partitions {
				p := row(TopicPartition{t.Topic, partition})
				p.MemberID, p.ClientID, p.Host = &m.MemberID, &m.ClientID, &m.Host
			}
		}
	}
	out := make([]Partition, 0, len(byTP))
	for _, p := range byTP {
		out = append(out, *p)
	}
	sortRows(out)
	return out
}

func sortRows(rows []Partition) {
	slices.SortFunc(rows, func(a, b Partition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
}

// complete adds what the topics know: ids, log ends, further partitions. Topics
// that were named and may not be seen are problems: they have no rows.
func (c *Cluster) complete(ctx context.Context, groups []Group, o DescribeOptions) (hidden []Problem, err error) {
	named := slices.Clone(o.Topics)
	for i := range groups {
		named = append(named, o.topicsOf(&groups[i])...)
	}
	slices.Sort(named)
	named = slices.Compact(named)
	names := slices.Clone(named)
	for i := range groups {
		names = append(names, groups[i].deadLetterTopics()...)
		for j := range groups[i].Partitions {
			names = append(names, groups[i].Partitions[j].Topic)
		}
		if o.AllPartitions {
			names = append(names, groups[i].subscriptions()...)
		}
	}
	topics, err := c.topicDetails(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("reading topic metadata: %w", err)
	}
	for _, name := range named {
		if t := topics[name]; errors.Is(t.Err, kerr.TopicAuthorizationFailed) {
			hidden = append(hidden, problem("topic "+name, t.Err))
		}
	}
	wanted := map[TopicPartition]bool{}
	for i := range groups {
		groups[i].addPartitions(topics, o)
		for j := range groups[i].Partitions {
			p := &groups[i].Partitions[j]
			wanted[TopicPartition{p.Topic, p.Partition}] = true
		}
		for _, topic := range groups[i].deadLetterTopics() {
			for partition := range topics[topic].Partitions {
				wanted[TopicPartition{topic, partition}] = true
			}
		}
	}
	found := c.logEnds(ctx, topics, slices.Collect(maps.Keys(wanted)))
	for i := range groups {
		groups[i].finish(topics, found, o.ReadCommitted)
		groups[i].countDeadLetters(topics, found)
	}
	if o.Time {
		hidden = append(hidden, c.behind(ctx, topics, groups, o.Now)...)
	}
	if o.Exact {
		hidden = append(hidden, c.count(ctx, topics, groups)...)
	}
	for i := range groups {
		t := total(groups[i].Partitions)
		groups[i].Total, groups[i].RecordsBehind, groups[i].BehindSeconds = t, t.RecordsBehind, t.BehindSeconds
	}
	return hidden, nil
}

func (o *DescribeOptions) topicsOf(g *Group) []string {
	if o.TopicsOf == nil {
		return nil
	}
	return o.TopicsOf(g.Group)
}

func (g *Group) subscriptions() []string {
	var topics []string
	for i := range g.Members {
		topics = append(topics, g.Members[i].subscribed...)
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

// addPartitions adds the rows that the options ask for.
func (g *Group) addPartitions(topics kadm.TopicDetails, o DescribeOptions) {
	names := append(slices.Clone(o.Topics), o.topicsOf(g)...)
	have := map[TopicPartition]bool{}
	for i := range g.Partitions {
		p := &g.Partitions[i]
		have[TopicPartition{p.Topic, p.Partition}] = true
		if o.AllPartitions {
			names = append(names, p.Topic)
		}
	}
	if o.AllPartitions {
		names = append(names, g.subscriptions()...)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		for partition := range topics[name].Partitions {
			if tp := (TopicPartition{name, partition}); !have[tp] {
				g.Partitions = append(g.Partitions, Partition{Topic: name, Partition: partition})
			}
		}
	}
	sortRows(g.Partitions)
}

// finish fills in what is known of the logs, and draws the conclusions.
func (g *Group) finish(topics kadm.TopicDetails, found map[TopicPartition]*ends, readCommitted bool) {
	subscribed := g.subscriptions()
	for i := range g.Partitions {
		p := &g.Partitions[i]
		if t, ok := topics[p.Topic]; ok && t.ID != (kadm.TopicID{}) {
			p.TopicID = nonEmpty(topicID(t.ID))
		}
		if d, ok := topics[p.Topic].Partitions[p.Partition]; ok && d.LeaderEpoch >= 0 {
			p.CurrentEpoch = &d.LeaderEpoch
		}
		if len(g.Members) > 0 {
			_, yes := slices.BinarySearch(subscribed, p.Topic)
			p.Subscribed = &yes
		}
		if p.Status != "" {
			continue // its commit could not be read
		}
		e := found[TopicPartition{p.Topic, p.Partition}]
		if e.status != "" {
			p.Status = e.status
			if e.err != nil {
				p.Error = nonEmpty(explain(e.err).Error())
			}
		}
		p.LogStart, p.LogEnd, p.LastStable, p.readCommitted = e.start, e.end, e.stable, readCommitted
		p.Assess()
	}
}
