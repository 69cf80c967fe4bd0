package render

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

// Section is one table for people, with a line or two around it.
type Section struct {
	Title   string // above the table; may be ""
	Columns []Column
	Rows    iter.Seq[[]string]
	// Footer returns the text below, when the rows are written; may be nil.
	Footer func() string
	// Empty stands in place of a table without rows.
	Empty string
	// Live writes each row when it comes, with the widths that the columns
	// name: for streams without an end.
	Live bool
	// Held: the rows are in memory, and Rows may be ranged over again. Then all
	// of them decide on the widths, and not only the first.
	Held bool
}

// Column is one column of a table.
type Column struct {
	Name  string
	Right bool // numbers
	// Optional columns are left out where no row has anything in them.
	Optional bool
	// Wide columns are in the wide form only.
	Wide bool
	// Width is the least width of a live table's column.
	Width int
}

// gap is what separates two columns.
const gap = "  "

// smallTable is how many rows tablewriter is used for. A row costs it about 20
// times what it costs the plain writer (BenchmarkTable), so longer tables are
// written by that one.
const smallTable = 200

// widthRows is how many first rows decide on the widths of a long table whose
// rows are not held.
const widthRows = 1000

func (r Result[R, L]) writeTable(w io.Writer, wide bool) error {
	var failure error
	rows := func(yield func(R) bool) {
		for row, err := range r.Rows {
			if err != nil {
				failure = err
				return
			}
			if !yield(row) {
				return
			}
		}
	}
	first := true
	for s := range r.Sections(rows) {
		if !first {
			if _, err := io.WriteString(w, "\n"); err != nil {
				return err
			}
		}
		first = false
		if err := s.narrowed(wide).write(w); err != nil {
			return err
		}
	}
	return failure
}

// narrowed is the section without its wide columns, unless they are wanted.
func (s Section) narrowed(wide bool) Section {
	var keep []int
	for i, c := range s.Columns {
		if wide || !c.Wide {
			keep = append(keep, i)
		}
	}
	if len(keep) == len(s.Columns) {
		return s
	}
	columns, rows := make([]Column, len(keep)), s.Rows
	for i, j := range keep {
		columns[i] = s.Columns[j]
	}
	s.Columns = columns
	s.Rows = func(yield func([]string) bool) {
		for row := range rows {
			cells := make([]string, len(keep))
			for i, j := range keep {
				cells[i] = row[j]
			}
			if !yield(cells) {
				return
			}
		}
	}
	return s
}

func (s Section) write(w io.Writer) error {
	if s.Live {
		return s.writeLive(w)
	}
	next, stop := iter.Pull(s.Rows)
	defer stop()
	var head [][]string
	for len(head) < widthRows {
		row, ok := next()
		if !ok {
			break
		}
		head = append(head, clean(row))
	}
	if s.Title != "" {
		if _, err := fmt.Fprintln(w, cleanCell(s.Title)); err != nil {
			return err
		}
	}
	if len(head) == 0 && s.Empty != "" {
		if _, err := fmt.Fprintln(w, s.Empty); err != nil {
			return err
		}
	} else if err := s.writeRows(w, head, next); err != nil {
		return err
	}
	if s.Footer == nil {
		return nil
	}
	if text := s.Footer(); text != "" {
		if _, err := fmt.Fprintln(w, PrintableLines(text)); err != nil {
			return err
		}
	}
	return nil
}

func (s Section) writeLive(w io.Writer) error {
	p := newPlain(w, s.Columns, func(func([]string) bool) {})
	for row := range s.Rows {
		if err := p.write(clean(row)); err != nil {
			return err
		}
	}
	return nil
}

func (s Section) writeRows(w io.Writer, whole [][]string, next func() ([]string, bool)) error {
	columns, keep := s.used(slices.Values(whole))
	head := make([][]string, len(whole))
	for i := range whole {
		head[i] = keep(whole[i])
	}
	if len(head) <= smallTable {
		return small(w, columns, head)
	}
	widths := slices.Values(head)
	if s.Held && len(head) == widthRows {
		columns, keep = s.used(s.Rows)
		widths = func(yield func([]string) bool) {
			for row := range s.Rows {
				if !yield(keep(clean(row))) {
					return
				}
			}
		}
		for i := range head {
			head[i] = keep(whole[i])
		}
	}
	p := newPlain(w, columns, widths)
	for _, r := range head {
		if err := p.write(r); err != nil {
			return err
		}
	}
	for {
		row, more := next()
		if !more {
			return nil
		}
		if err := p.write(keep(clean(row))); err != nil {
			return err
		}
	}
}

// used drops optional columns that are empty in all of the rows.
func (s Section) used(rows iter.Seq[[]string]) ([]Column, func([]string) []string) {
	filled := make([]bool, len(s.Columns))
	for row := range rows {
		for i, cell := range row {
			filled[i] = filled[i] || cell != ""
		}
	}
	var columns []Column
	var index []int
	for i, c := range s.Columns {
		if filled[i] || !c.Optional {
			columns = append(columns, c)
			index = append(index, i)
		}
	}
	return columns, func(row []string) []string {
		out := make([]string, len(index))
		for i, j := range index {
			out[i] = row[j]
			if out[i] == "" {
				out[i] = "-"
			}
		}
		return out
	}
}

// small writes a table with tablewriter.
func small(w io.Writer, columns []Column, rows [][]string) error {
	header := make([]string, len(columns))
	align := make([]tw.Align, len(columns))
	for i, c := range columns {
		header[i] = c.Name
		align[i] = tw.AlignLeft
		if c.Right {
			align[i] = tw.AlignRight
		}
	}
	off := tw.Settings{
		Separators: tw.Separators{ShowHeader: tw.Off, ShowFooter: tw.Off, BetweenRows: tw.Off, BetweenColumns: tw.Off},
		Lines:      tw.Lines{ShowTop: tw.Off, ShowBottom: tw.Off, ShowHeaderLine: tw.Off, ShowFooterLine: tw.Off},
	}
	var b bytes.Buffer
	t := tablewriter.NewTable(&b,
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{Borders: tw.BorderNone, Symbols: tw.NewSymbols(tw.StyleNone), Settings: off})),
		tablewriter.WithHeaderAutoFormat(tw.Off),
		tablewriter.WithHeaderAlignmentConfig(tw.CellAlignment{PerColumn: align}),
		tablewriter.WithRowAlignmentConfig(tw.CellAlignment{PerColumn: align}),
		tablewriter.WithPadding(tw.Padding{Left: "", Right: gap, Overwrite: true}),
		tablewriter.WithRowAutoWrap(tw.WrapNone),
		tablewriter.WithHeaderAutoWrap(tw.WrapNone),
		tablewriter.WithTrimSpace(tw.Off),
	)
	t.Header(header)
	if err := t.Bulk(rows); err != nil {
		return err
	}
	if err := t.Render(); err != nil {
		return err
	}
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// plain writes long tables: one pass, widths from the rows seen first. A later
// cell that is wider pushes its line out of shape and loses nothing.
type plain struct {
	w       io.Writer
	columns []Column
	width   []int
	line    []byte
}

func newPlain(w io.Writer, columns []Column, head iter.Seq[[]string]) *plain {
	p := &plain{w: w, columns: columns, width: make([]int, len(columns))}
	header := make([]string, len(columns))
	for i, c := range columns {
		header[i] = c.Name
		p.width[i] = max(c.Width, runewidth.StringWidth(c.Name))
	}
	for row := range head {
		for i, cell := range row {
			p.width[i] = max(p.width[i], runewidth.StringWidth(cell))
		}
	}
	_ = p.write(header) // a failing writer fails again on the first row
	return p
}

func (p *plain) write(row []string) error {
	line := p.line[:0]
	for i, cell := range row {
		pad := p.width[i] - runewidth.StringWidth(cell)
		if p.columns[i].Right {
			line = appendSpaces(line, pad)
			line = append(line, cell...)
		} else {
			line = append(line, cell...)
			line = appendSpaces(line, pad)
		}
		line = append(line, gap...)
	}
	p.line = append(bytes.TrimRight(line, " "), '\n')
	_, err := p.w.Write(p.line)
	return err
}

func appendSpaces(b []byte, n int) []byte {
	for range n {
		b = append(b, ' ')
	}
	return b
}

// maxCell is how much of a text a table shows: a name may have 10,000 characters.
const maxCell = 500

func clean(row []string) []string {
	out := make([]string, len(row))
	for i, cell := range row {
		out[i] = cleanCell(cell)
	}
	return out
}

func cleanCell(text string) string {
	if n := utf8.RuneCountInString(text); n > maxCell {
		text = fmt.Sprintf("%s… (%d characters)", string([]rune(text)[:maxCell]), n)
	}
	return Printable(text)
}

// Printable escapes what would break a table or do something to a terminal: a
// group may be named "a\nb".
func Printable(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
		s = s[n:]
	}
	return b.String()
}

// PrintableLines is [Printable] of each line.
func PrintableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = Printable(line)
	}
	return strings.Join(lines, "\n")
}
