package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"offsets/inspect"
)

// activity is what the commit log's end says of a group, read while the rest
// is.
type activity struct {
	done chan struct{}
	stop context.CancelFunc
	seen inspect.Activity
	err  error
	// connection is the flags that say which cluster, for the command to be typed
	// next.
	connection []word
}

// activityPatience is how long the commit log is waited for when all else is
// there.
const activityPatience = time.Second

func beginActivity(ctx context.Context, cluster *inspect.Cluster, group string, connection []word) *activity {
	ctx, stop := context.WithCancel(ctx)
	a := &activity{done: make(chan struct{}), stop: stop, connection: connection}
	go func() {
		defer close(a.done)
		a.seen, a.err = cluster.Activity(ctx, group)
	}()
	return a
}

// footer is what one wants to know at 3 a.m. below the table of one group:
// since when, how long ago, and what to look at next.
func (a *activity) footer(g *inspect.Group, now time.Time) string {
	if g.Type == inspect.Share { // of which the log knows no commits
		a.stop()
		return nextLine(nextOfShare(g, a.connection))
	}
	seen, err := inspect.Activity{}, context.DeadlineExceeded
	select {
	case <-a.done:
		seen, err = a.seen, a.err
	case <-time.After(activityPatience): // it is a comfort, and not worth more
		a.stop()
	}
	var parts []string
	if at := seen.StateSince; !at.IsZero() && g.Type == inspect.Classic && (g.State == "Stable" || g.State == "Empty") {
		parts = append(parts, fmt.Sprintf("%s since %s, %s ago", g.State, timestamp(at), ago(now.Sub(at))))
	}
	switch {
	case !seen.LastCommit.IsZero():
		parts = append(parts, "last commit "+ago(max(0, now.Sub(seen.LastCommit)))+" ago")
	case err != nil:
		parts = append(parts, "last commit not known: the commit log cannot be read")
	}
	out := ""
	if len(parts) > 0 {
		out = "\n" + strings.Join(parts, "; ")
	}
	return out + nextLine(nextCommand(g, a.connection))
}

// nextLine is a suggestion at the end of a footer.
func nextLine(s suggestion) string {
	if s == (suggestion{}) {
		return ""
	}
	return "\nnext: " + s.printable()
}

// nextCommand is what to do next about a group that is not well.
func nextCommand(g *inspect.Group, connection []word) suggestion {
	to := func(text string, words ...word) suggestion { return suggest(text, append(words, connection...)...) }
	name := groupWord(g.Group)
	seen := map[inspect.Status]bool{}
	pending := false
	for i := range g.Partitions {
		p := &g.Partitions[i]
		seen[p.Status] = true
		pending = pending || p.PendingTxn != nil && *p.PendingTxn
	}
	switch {
	case pending:
		return to("a transaction holds commits back; to see whose, and since when", "decode", "--state", groupFlag(g.Group))
	case g.PendingUnknown != nil:
		return suggestion{text: g.PendingUnknown.Error()}
	case seen[inspect.PastEnd], seen[inspect.Lost]:
		return to("to see what a consumer does where the commit is outside the log", "policy", name)
	case seen[inspect.NoLeader], seen[inspect.Failed], seen[inspect.NotAuthorized], seen[inspect.TopicGone]:
		return suggestion{}
	case len(g.Members) == 0 && seen[inspect.Behind]:
		return to("no active members; to see when its offsets were last moved", "history", name)
	case seen[inspect.NoCommit]:
		return to("to see where a consumer begins without a commit", "policy", name)
	case seen[inspect.Behind]:
		return to("to see whether it catches up", "describe", name, "--watch")
	}
	return suggestion{}
}
