package connect

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/jcmturner/gokrb5/v8/client"
	krbconfig "github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/credentials"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/aws"
	"github.com/twmb/franz-go/pkg/sasl/kerberos"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// mechanism is one way to log in.
type mechanism struct {
	// module is the end of the login module's name that goes with it.
	module string
	// handlers are the callback handlers that do what is done here, by the ends
	// of their names; another one would log in in a way that nobody knows here.
	handlers []string
	make     func(s security, options map[string]string) (sasl.Mechanism, error)
}

func mechanisms() map[string]mechanism {
	return map[string]mechanism{
		"PLAIN": {"PlainLoginModule", nil, func(_ security, o map[string]string) (sasl.Mechanism, error) {
			return plain.Auth{User: o["username"], Pass: o["password"]}.AsMechanism(), needs(o, "username", "password")
		}},
		"SCRAM-SHA-256": {"ScramLoginModule", nil, func(_ security, o map[string]string) (sasl.Mechanism, error) {
			return boundedScram{scram.Auth{User: o["username"], Pass: o["password"]}.AsSha256Mechanism()}, needs(o, "username", "password")
		}},
		"SCRAM-SHA-512": {"ScramLoginModule", nil, func(_ security, o map[string]string) (sasl.Mechanism, error) {
			return boundedScram{scram.Auth{User: o["username"], Pass: o["password"]}.AsSha512Mechanism()}, needs(o, "username", "password")
		}},
		"OAUTHBEARER": {"OAuthBearerLoginModule", []string{"OAuthBearerLoginCallbackHandler"}, security.oauthBearer},
		"GSSAPI":      {"Krb5LoginModule", nil, security.kerberos},
		"AWS_MSK_IAM": {"IAMLoginModule", []string{"IAMClientCallbackHandler"}, mskIAM},
	}
}

const mechanismNames = "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER, GSSAPI or AWS_MSK_IAM"

func (s security) sasl() (sasl.Mechanism, error) {
	name := cmp.Or(s[keyMechanism], "GSSAPI") // as Java has it
	m, known := mechanisms()[name]
	switch {
	case !known:
		return nil, fmt.Errorf("%s %q is not supported: want %s", keyMechanism, name, mechanismNames)
	case s[keyJAAS] == "" && s[keyMechanism] == "":
		return nil, fmt.Errorf("%s is not set: want %s", keyMechanism, mechanismNames)
	case s[keyJAAS] == "":
		return nil, fmt.Errorf("%s needs %s", keyMechanism, keyJAAS)
	}
	for _, key := range []string{keyLoginHandler, keyClientHandler} {
		if class := s[key]; class != "" && !endsWithOneOf(class, m.handlers) {
			return nil, fmt.Errorf("%s: %s cannot be run here", key, class)
		}
	}
	module, options, err := parseJAAS(s[keyJAAS])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyJAAS, err)
	}
	if !strings.HasSuffix(module, "."+m.module) {
		return nil, fmt.Errorf("%s: %s goes with %s, not with the login module that is named", keyJAAS, name, m.module)
	}
	made, err := m.make(s, options)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyJAAS, err)
	}
	return made, nil
}

func endsWithOneOf(class string, names []string) bool {
	for _, name := range names {
		if strings.HasSuffix(class, "."+name) {
			return true
		}
	}
	return false
}

func needs(options map[string]string, names ...string) error {
	for _, name := range names {
		if options[name] == "" {
			return fmt.Errorf("%s is missing", strings.Join(names, " or "))
		}
	}
	return nil
}

// tokenPatience bounds getting a token.
const tokenPatience = 10 * time.Second

// oauthBearer gets tokens from a token endpoint with client credentials, or out
// of a file, as Java's own callback handler does (KIP-768, KIP-1139).
func (s security) oauthBearer(options map[string]string) (sasl.Mechanism, error) {
	where, err := url.Parse(s[keyTokenURL])
	if err != nil || where.Scheme != "file" && where.Scheme != "http" && where.Scheme != "https" {
		return nil, fmt.Errorf("OAUTHBEARER needs %s: an http, https or file URL", keyTokenURL)
	}
	extensions := map[string]string{}
	for name, value := range options {
		if key, ok := strings.CutPrefix(name, "extension_"); ok {
			extensions[key] = value
		}
	}
	token := func(context.Context) (string, error) {
		text, err := os.ReadFile(where.Path)
		return strings.TrimSpace(string(text)), err
	}
	if where.Scheme != "file" {
		c := clientcredentials.Config{
			TokenURL: where.String(), ClientID: cmp.Or(s[keyTokenClient], options["clientId"]), ClientSecret: cmp.Or(s[keyTokenSecret], options["clientSecret"]),
			AuthStyle: oauth2.AuthStyleInHeader,
		}
		if scope := cmp.Or(s[keyTokenScope], options["scope"]); scope != "" {
			c.Scopes = strings.Fields(scope)
		}
		if c.ClientID == "" || c.ClientSecret == "" {
			return nil, errors.New("clientId or clientSecret is missing")
		}
		// The token endpoint is another server than Kafka: as in Java, what
		// security it has is said in options of the login module.
		roots, err := security(options).trusted()
		if err != nil {
			return nil, err
		}
		token = func(ctx context.Context) (string, error) { return fetchToken(ctx, c, roots) }
	}
	return oauth.Oauth(func(ctx context.Context) (oauth.Auth, error) {
		text, err := token(ctx)
		if err != nil {
			return oauth.Auth{}, &TokenError{URL: shownURL(where.String()), Err: err}
		}
		return oauth.Auth{Token: text, Extensions: extensions}, nil
	}), nil
}

func fetchToken(ctx context.Context, c clientcredentials.Config, roots *x509.CertPool) (string, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: noRedirect{transport}}), tokenPatience)
	defer cancel()
	token, err := c.Token(ctx)
	if err != nil {
		var refused *oauth2.RetrieveError
		if errors.As(err, &refused) { // its text quotes the whole answer
			return "", fmt.Errorf("%s %s", refused.Response.Status, refused.ErrorCode)
		}
		var asked *url.Error
		if errors.As(err, &asked) { // its text has the whole URL again
			err = asked.Err
		}
		return "", err
	}
	return token.AccessToken, nil
}

// noRedirect follows no redirect: the client's secret would go along.
type noRedirect struct{ http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (n noRedirect) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := n.RoundTripper.RoundTrip(req)
	if err != nil || resp.StatusCode < 300 || resp.StatusCode > 399 {
		return resp, err
	}
	resp.Body.Close()
	to := "an address that cannot be read"
	if where, err := resp.Location(); err == nil && where.Host != "" {
		to = where.Host
	}
	return nil, fmt.Errorf("%d: it redirects to %s, where the client's secret is not sent; if that is right, name that URL", resp.StatusCode, to)
}

// maxScramRounds bounds what a broker may ask for: a million rounds of SHA-512
// take less than a second, Kafka's default is 4096, and its own tools set no more
// than 16384.
const maxScramRounds = 1_000_000

// boundedScram looks at the broker's first message before anything is computed
// from it.
type boundedScram struct{ sasl.Mechanism }

// Authenticate implements [sasl.Mechanism].
func (b boundedScram) Authenticate(ctx context.Context, host string) (sasl.Session, []byte, error) {
	session, first, err := b.Mechanism.Authenticate(ctx, host)
	return boundedSession{session}, first, err
}

type boundedSession struct{ sasl.Session }

// Challenge implements [sasl.Session].
func (b boundedSession) Challenge(message []byte) (bool, []byte, error) {
	for field := range bytes.SplitSeq(message, []byte(",")) {
		rounds, found := bytes.CutPrefix(field, []byte("i="))
		if !found {
			continue
		}
		if n, err := strconv.ParseInt(string(rounds), 10, 64); err != nil || n > maxScramRounds {
			return false, nil, &ScramError{Rounds: string(rounds[:min(len(rounds), 20)])}
		}
	}
	return b.Session.Challenge(message)
}

// ScramError is a broker that asks for more rounds of SCRAM than are computed
// for anybody.
type ScramError struct{ Rounds string }

func (e *ScramError) Error() string {
	return fmt.Sprintf("SCRAM with %q iterations, and at most %d are computed", e.Rounds, maxScramRounds)
}

// TokenError is a token that could not be had.
type TokenError struct {
	URL string
	Err error
}

func (e *TokenError) Error() string { return fmt.Sprintf("getting a token from %s: %v", e.URL, e.Err) }
func (e *TokenError) Unwrap() error { return e.Err }

// kerberos logs in with a keytab, or with the ticket cache of kinit.
func (s security) kerberos(options map[string]string) (sasl.Mechanism, error) {
	service := cmp.Or(s[keyService], options["serviceName"])
	if service == "" {
		return nil, fmt.Errorf("GSSAPI needs %s", keyService)
	}
	krb5, err := krbconfig.Load(cmp.Or(os.Getenv("KRB5_CONFIG"), "/etc/krb5.conf"))
	if err != nil {
		return nil, err
	}
	var c *client.Client
	switch {
	case options["useKeyTab"] == "true":
		user, realm, _ := strings.Cut(options["principal"], "@")
		if user == "" || options["keyTab"] == "" {
			return nil, errors.New("useKeyTab needs keyTab and principal")
		}
		keys, err := keytab.Load(options["keyTab"])
		if err != nil {
			return nil, err
		}
		c = client.NewWithKeytab(user, cmp.Or(realm, krb5.LibDefaults.DefaultRealm), keys, krb5, client.DisablePAFXFAST(true))
	case options["useTicketCache"] == "true":
		file := cmp.Or(options["ticketCache"], strings.TrimPrefix(os.Getenv("KRB5CCNAME"), "FILE:"), fmt.Sprintf("/tmp/krb5cc_%d", os.Getuid()))
		cache, err := credentials.LoadCCache(file)
		if err != nil {
			return nil, err
		}
		if c, err = client.NewFromCCache(cache, krb5, client.DisablePAFXFAST(true)); err != nil {
			return nil, err
		}
	default:
		return nil, errors.New("want useKeyTab=true or useTicketCache=true")
	}
	return kerberos.Auth{Client: c, Service: service, PersistAfterAuth: true}.AsMechanism(), nil
}

// mskIAM signs with the credentials that AWS's own tools would use.
func mskIAM(_ security, options map[string]string) (sasl.Mechanism, error) {
	if role := options["awsRoleArn"]; role != "" {
		return nil, errors.New("awsRoleArn is not supported: name a profile that assumes the role, with awsProfileName")
	}
	return aws.ManagedStreamingIAM(func(ctx context.Context) (aws.Auth, error) {
		ctx, cancel := context.WithTimeout(ctx, tokenPatience)
		defer cancel()
		c, err := config.LoadDefaultConfig(ctx, config.WithSharedConfigProfile(options["awsProfileName"]))
		if err != nil {
			return aws.Auth{}, fmt.Errorf("AWS credentials: %w", err)
		}
		found, err := c.Credentials.Retrieve(ctx)
		if err != nil {
			return aws.Auth{}, fmt.Errorf("AWS credentials: %w", err)
		}
		return aws.Auth{AccessKey: found.AccessKeyID, SecretKey: found.SecretAccessKey, SessionToken: found.SessionToken}, nil
	}), nil
}
