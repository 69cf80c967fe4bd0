package inspect

import (
	"context"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A group that is deleted between the list and the look at it is not there: a
// list of all leaves it out, and does not fail; who named it is told.
func TestGroupThatWentAfterItWasListed(t *testing.T) {
	for _, kind := range []string{Classic, Consumer} {
		t.Run(kind, func(t *testing.T) {
			k, cl := fakeBrokers(t, 1, kfake.SeedTopics(1, "orders"))
			commitTo(t, cl, "here")
			k.ControlKey(kmsg.ListGroups.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
				k.KeepControl()
				resp := req.ResponseKind().(*kmsg.ListGroupsResponse)
				for name, t := range map[string]string{"here": Classic, "went": kind} {
					g := kmsg.NewListGroupsResponseGroup()
					g.Group, g.GroupState, g.GroupType = name, "Empty", t
					resp.Groups = append(resp.Groups, g)
				}
				return resp, nil, true
			})
			c := New(cl)
			for _, o := range []ListOptions{{}, {Lag: true}, {Topic: "orders"}} {
				l, err := c.List(t.Context(), o)
				if err != nil || len(l.Groups) != 1 || l.Groups[0].Group != "here" || len(l.Problems) > 0 {
					t.Errorf("%+v: %v, %+v", o, err, l)
				}
			}
			known, err := c.Groups(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if shown, problems := names(t.Context(), t, c, known.Names, known); len(shown) != 1 || len(problems) > 0 {
				t.Errorf("all: %v, problems %v", shown, problems)
			}
			shown, problems := names(t.Context(), t, c, []string{"went"}, nil)
			if len(shown) > 0 || len(problems) != 1 || !errors.Is(problems[0].Err, ErrUnknownGroup) {
				t.Errorf("by its name: %v, problems %v", shown, problems)
			}
		})
	}
}

func names(ctx context.Context, t *testing.T, c *Cluster, asked []string, known *Known) (shown []string, problems []Problem) {
	t.Helper()
	d, err := c.Describe(ctx, asked, DescribeOptions{Known: known})
	if err != nil {
		t.Fatal(err)
	}
	for g, err := range d.Groups {
		if err != nil {
			t.Fatal(err)
		}
		shown = append(shown, g.Group)
	}
	return shown, d.Problems
}
