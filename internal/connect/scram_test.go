package connect

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// scramBroker is a broker that knows nothing but the beginning of SCRAM.
func scramBroker(t *testing.T, iterations string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for answerScram(conn, iterations) == nil {
				}
			}()
		}
	}()
	return l.Addr().String()
}

func answerScram(conn net.Conn, iterations string) error {
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return err
	}
	frame := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(conn, frame); err != nil {
		return err
	}
	r := kbin.Reader{Src: frame}
	key, version, corr := r.Int16(), r.Int16(), r.Int32()
	r.NullableString() // client id
	req := kmsg.RequestForKey(key)
	req.SetVersion(version)
	if req.IsFlexible() {
		kmsg.SkipTags(&r)
	}
	if err := req.ReadFrom(r.Src); err != nil {
		return err
	}
	resp := req.ResponseKind()
	switch resp := resp.(type) {
	case *kmsg.ApiVersionsResponse:
		for _, k := range []kmsg.Key{kmsg.SASLHandshake, kmsg.SASLAuthenticate, kmsg.ApiVersions, kmsg.Metadata} {
			resp.ApiKeys = append(resp.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: int16(k), MaxVersion: 1})
		}
	case *kmsg.SASLHandshakeResponse:
		resp.SupportedMechanisms = []string{"SCRAM-SHA-256", "SCRAM-SHA-512"}
	case *kmsg.SASLAuthenticateResponse:
		_, nonce, _ := strings.Cut(string(req.(*kmsg.SASLAuthenticateRequest).SASLAuthBytes), "r=")
		resp.SASLAuthBytes = []byte("r=" + nonce + "more,s=c2FsdA==,i=" + iterations)
	}
	out := binary.BigEndian.AppendUint32(nil, uint32(corr))
	out = resp.AppendTo(out)
	_, err := conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(out))), out...))
	return err
}

// A false broker that asks for 2^31-1 iterations is an error at once, which says so.
func TestScramOfAFalseBroker(t *testing.T) {
	for iterations, want := range map[string]string{"2147483647": `"2147483647" iterations`, "1": "less than minimum", "99999999999999999999": "iterations"} {
		c, err := parseConfig([]byte("security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-512\nsasl.jaas.config=a.ScramLoginModule required username=\"u\" password=\"S3CRET\";\n"))
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, err = Open(t.Context(), Options{Bootstrap: []string{scramBroker(t, iterations)}, Config: c, Timeout: 3 * time.Second})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "S3CRET") {
			t.Errorf("%s: %v", iterations, err)
		}
		if took := time.Since(began); took > 8*time.Second {
			t.Errorf("%s: it took %s", iterations, took)
		}
	}
}
