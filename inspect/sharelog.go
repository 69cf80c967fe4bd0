package inspect

import (
	"context"
	"slices"
	"strings"

	"offsets/inspect/commitlog"
)

// What the offsets topic says of groups that are not classic: their members and
// epochs, and of share groups nothing else. Start offsets are in another topic
// (__share_group_state), and the broker alone can be asked for them.

// GroupType is the type of one group.
//
// Errors: [ErrUnknownGroup], or why its coordinator could not be asked.
func (c *Cluster) GroupType(ctx context.Context, name string) (string, error) {
	l := c.lookUp(ctx, []string{name})
	if g, ok := l.groups[name]; ok {
		return g.Type, nil
	}
	if err := l.unseen[name]; err != nil {
		return "", explain(err)
	}
	return "", ErrUnknownGroup
}

// groupEpoch is the epoch that a record about a group as a whole begins: one of
// members, or of what they subscribe to.
func groupEpoch(value any) *int32 {
	switch v := value.(type) {
	case *commitlog.ConsumerGroupMetadata:
		return &v.Epoch
	case *commitlog.ShareGroupMetadata:
		return &v.Epoch
	case *commitlog.ShareGroupMetadataV40:
		return &v.Epoch
	case *commitlog.StreamsGroupMetadata:
		return &v.Epoch
	}
	return nil
}

// isMember: a record about one member of a group that is not classic.
func isMember(kind commitlog.Kind) bool {
	return strings.HasSuffix(string(kind), "_group_member_metadata")
}

// IsShare says whether the log shows the group to be a share group, whose start
// offsets are elsewhere.
func (h *History) IsShare() bool { return h.share }

func (h *History) stillShare(row *LogRecord) bool {
	switch {
	case row.Kind == "share_group_metadata" && row.Tombstone: // deleted
		return false
	case row.Tombstone:
		return h.share
	}
	return strings.HasPrefix(row.Kind, "share_group_")
}

// sharesOf follows which groups are share groups, for who asks for their commits.
type sharesOf map[string]bool

// record takes one record. A share group that was made by setting its start offsets
// has no record of members.
func (s sharesOf) record(key, value []byte) {
	if len(key) < 2 || key[0] != 0 || key[1] != commitlog.TypeShareGroupMetadata && key[1] != commitlog.TypeShareGroupState {
		return
	}
	r := commitlog.NewDecoder().Decode(key, nil)
	if name, known := r.Group(); known && value != nil {
		s[name] = true
	} else if known && key[1] == commitlog.TypeShareGroupMetadata {
		delete(s, name)
	}
}

// shareGroups are the share groups of log partitions, sorted.
func shareGroups(parts []*partitionState, wanted func(string) bool) []string {
	var out []string
	for _, p := range parts {
		for name := range p.shares {
			if wanted == nil || wanted(name) {
				out = append(out, name)
			}
		}
	}
	slices.Sort(out)
	return out
}
