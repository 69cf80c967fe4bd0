package reset

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"unicode/utf8"
)

// FileRow is one line of the CSV that kafka-consumer-groups writes with
// --export and reads with --from-file.
type FileRow struct {
	Group     string // "" in the form for a single group
	Topic     string
	Partition int32
	Offset    int64
	Line      int
}

// ReadCSV reads the format of kafka-consumer-groups: topic,partition,offset for
// a single group, or group,topic,partition,offset; no header. It is strict where
// Kafka's reader is not: that one takes a missing column for 0, and of two lines
// for one partition the last.
func ReadCSV(src io.Reader) ([]FileRow, error) {
	text, err := io.ReadAll(src)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(text) {
		return nil, errors.New("the file is not UTF-8")
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // Excel begins UTF-8 with it
	r := csv.NewReader(bytes.NewReader(text))
	r.FieldsPerRecord = -1
	var rows []FileRow
	columns := 0
	seen := map[FileRow]int{}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err // names the line
		}
		line, _ := r.FieldPos(0)
		if columns == 0 {
			columns = len(record)
		}
		row, err := parseRow(record, columns)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		row.Line = line
		key := FileRow{Group: row.Group, Topic: row.Topic, Partition: row.Partition}
		if before, twice := seen[key]; twice {
			return nil, fmt.Errorf("line %d: %s-%d is there already, in line %d", line, row.Topic, row.Partition, before)
		}
		seen[key] = line
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return nil, errors.New("the file has no lines")
	}
	return rows, nil
}

func parseRow(record []string, columns int) (row FileRow, err error) {
	switch {
	case len(record) != columns:
		return row, fmt.Errorf("%d columns, but line 1 has %d", len(record), columns)
	case columns != 3 && columns != 4:
		return row, fmt.Errorf("%d columns: want topic,partition,offset or group,topic,partition,offset", columns)
	}
	if columns == 4 {
		row.Group, record = record[0], record[1:]
		if row.Group == "" {
			return row, errors.New("the group is empty")
		}
	}
	row.Topic = record[0]
	if row.Topic == "" {
		return row, errors.New("the topic is empty")
	}
	p, err := strconv.ParseUint(record[1], 10, 31)
	if err != nil {
		return row, fmt.Errorf("partition %q is no number of a partition (a header is not part of this format)", record[1])
	}
	row.Partition = int32(p)
	row.Offset, err = strconv.ParseInt(record[2], 10, 64)
	if err != nil || row.Offset < 0 {
		return row, fmt.Errorf("offset %q is no offset", record[2])
	}
	return row, nil
}

// Settings are the rows of one group as positions. Rows without a group are
// everybody's.
func Settings(rows []FileRow, group string) []Setting {
	var out []Setting
	for _, r := range rows {
		if r.Group == "" || r.Group == group {
			out = append(out, Setting{r.Topic, r.Partition, At(r.Offset)})
		}
	}
	return out
}

// WriteCSV writes what [ReadCSV] and Kafka's tool read; the group only where
// there are several.
func WriteCSV(dst io.Writer, rows []FileRow) error {
	several := slices.ContainsFunc(rows, func(r FileRow) bool { return r.Group != rows[0].Group })
	w := csv.NewWriter(dst)
	for _, r := range rows {
		record := []string{r.Topic, strconv.Itoa(int(r.Partition)), strconv.FormatInt(r.Offset, 10)}
		if several {
			record = append([]string{r.Group}, record...)
		}
		if err := w.Write(record); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}
