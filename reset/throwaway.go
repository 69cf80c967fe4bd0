package reset

import (
	"context"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"

	"offsets/inspect"
)

// ThrowawayPrefix begins the name of every group that this package makes for a
// while only.
const ThrowawayPrefix = "offsets-live-"

// Throwaway makes a group with exact copies of commits, leader epochs included,
// for a consumer to be tried on. It never touches a group of another name, nor
// one that exists.
func (c *Changer) Throwaway(ctx context.Context, name string, commits []Wanted) error {
	if !strings.HasPrefix(name, ThrowawayPrefix) {
		return fmt.Errorf("group %s: its name does not begin with %s", name, ThrowawayPrefix)
	}
	there, _, err := c.cluster.Commits(ctx, name, inspect.Classic)
	if err != nil {
		return err
	}
	if len(there) > 0 {
		return fmt.Errorf("group %s exists already", name)
	}
	var offsets kadm.Offsets
	for _, w := range commits {
		offsets.Add(kadm.Offset{Topic: w.Topic, Partition: w.Partition, At: w.Commit.Offset, LeaderEpoch: w.Commit.LeaderEpoch, Metadata: w.Commit.Metadata})
	}
	if len(offsets) == 0 {
		return nil // a group comes into being with its first member
	}
	if err := c.adm.CommitAllOffsets(ctx, name, offsets); err != nil {
		return fmt.Errorf("copying commits to %s: %w", name, err)
	}
	return nil
}

// Discard deletes a throwaway group.
func (c *Changer) Discard(ctx context.Context, name string) error {
	if !strings.HasPrefix(name, ThrowawayPrefix) {
		return fmt.Errorf("group %s: its name does not begin with %s", name, ThrowawayPrefix)
	}
	p := Plan{Group: name, Kind: KindDelete, Deletes: true}
	if err := c.deleteGroup(ctx, &p, nil); err != nil {
		return fmt.Errorf("group %s is left behind: %w; 'offsets delete' removes it", name, err)
	}
	return nil
}
