package reset

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"offsets/inspect"
)

// PlanFile is plans that were written down, to be looked at, agreed on, and
// applied later.
type PlanFile struct {
	Format    string   `json:"format"` // planFormat
	Version   int      `json:"version"`
	ClusterID string   `json:"cluster_id"`
	Time      string   `json:"time"`
	Command   []string `json:"command"`
	Plans     []Plan   `json:"groups"`
}

const (
	planFormat  = "offsets-plan"
	planVersion = 1
)

// WritePlanFile writes plans down. The file must not exist yet.
func WritePlanFile(file string, f PlanFile) error {
	f.Format, f.Version = planFormat, planVersion
	text, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return err
	}
	return writeNew(file, append(text, '\n'))
}

// ReadPlanFile reads plans that were written down. They are not believed: before
// one is shown or applied, [Changer.Recheck] must have looked at it.
func ReadPlanFile(file string) (*PlanFile, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	f, err := parsePlanFile(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return f, nil
}

// checkFormat says whether a file is what it is taken for, in a version that is
// known.
func checkFormat(what, format, wantFormat string, version, wantVersion int) error {
	switch {
	case format != wantFormat:
		return fmt.Errorf("not %s: its format is %q", what, format)
	case version != wantVersion:
		return fmt.Errorf("%s of version %d, this program knows version %d", what, version, wantVersion)
	}
	return nil
}

func parsePlanFile(text []byte) (*PlanFile, error) {
	var f PlanFile
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, fmt.Errorf("not a plan: %w", err)
	}
	if err := checkFormat("a plan", f.Format, planFormat, f.Version, planVersion); err != nil {
		return nil, err
	}
	if len(f.Plans) == 0 {
		return nil, errors.New("a plan without groups")
	}
	for i := range f.Plans {
		if err := f.Plans[i].valid(); err != nil {
			return nil, err
		}
		if err := f.Plans[i].consistent(); err != nil {
			return nil, err
		}
		// What the first program saw is looked at again; what it did is not this
		// one's.
		f.Plans[i].Applied, f.Plans[i].Verified, f.Plans[i].Receipt = false, nil, nil
		for j := range f.Plans[i].Partitions {
			f.Plans[i].Partitions[j].Written = false
		}
		f.Plans[i].recall()
		f.Plans[i].unchecked = true
	}
	return &f, nil
}

// consistent says whether a plan that was read is one that could have been made.
func (p *Plan) consistent() error {
	switch {
	case !slices.Contains([]Kind{KindReset, KindUndo, KindImport, KindCopy, KindDelete}, p.Kind):
		return fmt.Errorf("group %s: unknown kind of plan %q", p.Group, p.Kind)
	case p.Deletes && p.Kind != KindDelete:
		return fmt.Errorf("group %s: a plan of %s deletes no group", p.Group, p.Kind)
	}
	for i := range p.Partitions {
		c := &p.Partitions[i]
		switch {
		case c.Action == ActionWrite && p.Kind == KindDelete, c.Action == ActionDelete && p.Kind != KindDelete && p.Kind != KindUndo:
			return fmt.Errorf("group %s, %s-%d: action %q in a plan of %s", p.Group, c.Topic, c.Partition, c.Action, p.Kind)
		case c.Action == ActionNone && c.Error == nil && c.To != nil && !equal(c.From, c.To):
			return fmt.Errorf("group %s, %s-%d: it is to be left alone, but goes from %s to %d", p.Group, c.Topic, c.Partition, show(c.From), *c.To)
		}
	}
	return nil
}

// valid says whether a plan that was read can be carried out at all: files are
// edited by hand.
func (p *Plan) valid() error {
	seen := map[inspect.TopicPartition]bool{}
	for i := range p.Partitions {
		c := &p.Partitions[i]
		tp := inspect.TopicPartition{Topic: c.Topic, Partition: c.Partition}
		bad := func(format string, args ...any) error {
			return fmt.Errorf("group %s, %s-%d: %s", p.Group, c.Topic, c.Partition, fmt.Sprintf(format, args...))
		}
		switch {
		case c.Topic == "" || c.Partition < 0:
			return bad("no such partition")
		case seen[tp]:
			return bad("it is there twice")
		case c.From != nil && *c.From < 0:
			return bad("from %d is no offset", *c.From)
		case c.Action == ActionWrite && (c.To == nil || *c.To < 0):
			return bad("it is to be written, but to is no offset")
		case c.Action == ActionDelete && c.To != nil:
			return bad("it is to be deleted, but has an offset to go to")
		case c.Action != ActionNone && c.Action != ActionWrite && c.Action != ActionDelete:
			return bad("unknown action %q", c.Action)
		case p.Deletes && (p.Kind != KindDelete || c.Action == ActionWrite):
			return bad("a plan that deletes the group writes nothing")
		case c.ToEpoch != nil && p.Kind == KindReset && c.Action == ActionWrite && !equal(c.From, c.To):
			return bad("a reset writes no leader epoch, and this one has %d", *c.ToEpoch)
		case c.ToEpoch != nil && *c.ToEpoch < 0:
			return bad("leader epoch %d", *c.ToEpoch)
		case c.Action == ActionWrite && p.Kind == KindReset && !equal(c.From, c.To) && c.LogStart != nil && c.LogEnd != nil && (*c.To < *c.LogStart || *c.To > *c.LogEnd) && c.Error == nil:
			return bad("offset %d is outside the log (%d to %d)", *c.To, *c.LogStart, *c.LogEnd)
		}
		seen[tp] = true
	}
	return nil
}
