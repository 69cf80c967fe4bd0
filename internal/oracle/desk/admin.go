package desk

import "context"

// GroupOffsets is what Java's Admin says a group has committed. With stable it
// waits for open transactions (until the context ends), else it does not see
// them.
func (d *Desk) GroupOffsets(ctx context.Context, group string, stable bool) ([]Offset, error) {
	var offsets []Offset
	err := d.call(ctx, "groupOffsets", values{"group": group, "stable": stable}, &offsets)
	return offsets, err
}

// ShareOffset is where a share group begins in a partition.
type ShareOffset struct {
	Topic       string `json:"topic"`
	Partition   int32  `json:"partition"`
	StartOffset int64  `json:"start_offset"`
	LeaderEpoch *int32 `json:"leader_epoch"`
	Lag         *int64 `json:"lag"`
}

// ShareOffsets is what Java's Admin says of a share group.
func (d *Desk) ShareOffsets(ctx context.Context, group string) ([]ShareOffset, error) {
	var offsets []ShareOffset
	err := d.call(ctx, "shareOffsets", values{"group": group}, &offsets)
	return offsets, err
}

// AlterShareOffsets sets start offsets of a share group without members; a
// group that is not there is made.
func (d *Desk) AlterShareOffsets(ctx context.Context, group string, offsets ...Offset) error {
	return d.call(ctx, "alterShareOffsets", values{"group": group, "offsets": list(offsets)}, nil)
}

// DeleteShareOffsets deletes a share group's start offsets of whole topics.
func (d *Desk) DeleteShareOffsets(ctx context.Context, group string, topics ...string) error {
	return d.call(ctx, "deleteShareOffsets", values{"group": group, "topics": list(topics)}, nil)
}
