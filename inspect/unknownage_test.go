package inspect

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Whoever may not read a topic is told so, and does not get an age of null
// without a word; a connection that died is opened again.
func TestWhyAnAgeIsUnknown(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func(req *kmsg.FetchRequest) (kmsg.Response, error)
		once   bool
		want   error // nil: the age is known
	}{
		{"no right to read", func(req *kmsg.FetchRequest) (kmsg.Response, error) {
			resp := req.ResponseKind().(*kmsg.FetchResponse)
			p := kmsg.NewFetchResponseTopicPartition()
			p.ErrorCode = kerr.TopicAuthorizationFailed.Code
			resp.Topics = []kmsg.FetchResponseTopic{{Topic: "orders", TopicID: req.Topics[0].TopicID, Partitions: []kmsg.FetchResponseTopicPartition{p}}}
			return resp, nil
		}, false, kerr.TopicAuthorizationFailed},
		{"connection died", func(*kmsg.FetchRequest) (kmsg.Response, error) { return nil, errors.New("died") }, true, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k, cl := fakeBrokers(t, 1, kfake.SeedTopics(1, "orders"))
			if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Timestamp: time.Now().Add(-time.Hour)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			commitTo(t, cl, "g")
			o := DescribeOptions{Time: true, Now: time.Now()}
			describe := func() (rows []Partition, problems []Problem) {
				d, err := New(cl).Describe(t.Context(), []string{"g"}, o)
				if err != nil {
					t.Fatal(err)
				}
				for g, err := range d.Groups {
					if err != nil {
						t.Fatal(err)
					}
					rows = slices.Concat(rows, g.Partitions)
				}
				return rows, d.Problems
			}
			describe() // opens the connection
			k.ControlKey(kmsg.Fetch.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
				if !tt.once {
					k.KeepControl()
				}
				resp, err := tt.answer(req.(*kmsg.FetchRequest))
				return resp, err, true
			})
			rows, problems := describe()
			if len(rows) != 1 || (rows[0].BehindSeconds == nil) != (tt.want != nil) {
				t.Errorf("got %+v", rows)
			}
			switch {
			case tt.want == nil && len(problems) > 0:
				t.Errorf("problems: %v", problems)
			case tt.want != nil && (len(problems) != 1 || !errors.Is(problems[0].Err, tt.want)):
				t.Errorf("problems: %v, want %v", problems, tt.want)
			}
		})
	}
}
