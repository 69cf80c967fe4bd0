package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pavlo-v-chernykh/keystore-go/v4"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/youmark/pkcs8"
	"software.sslmate.com/src/go-pkcs12"

	"offsets/internal/kafkatest"
)

// authority signs certificates for a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	a := &authority{t: t}
	a.cert, a.key = a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotAfter: time.Now().Add(time.Hour)})
	return a
}

func (a *authority) sign(template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber, _ = rand.Int(rand.Reader, big.NewInt(1<<62))
	template.NotBefore = time.Now().Add(-time.Hour)
	parent, signer := template, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// leaf makes a certificate of a broker or a client.
func (a *authority) leaf(name string, until time.Time) (*x509.Certificate, *ecdsa.PrivateKey) {
	return a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	})
}

func pemOf(t *testing.T, cert *x509.Certificate, key *ecdsa.PrivateKey) string {
	t.Helper()
	out := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	if key == nil {
		return out
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})) + out
}

// securedWorld is a secured broker, and files for clients of it.
type securedWorld struct {
	t       *testing.T
	cluster *kafkatest.Cluster
	ca      *authority
	dir     string
	line    commandLine
}

func (w *securedWorld) file(name string, text []byte) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

func newSecuredWorld(t *testing.T) *securedWorld {
	t.Helper()
	w := &securedWorld{t: t, ca: newAuthority(t, "the authority"), dir: t.TempDir()}
	cert, key := w.ca.leaf("broker", time.Now().Add(time.Hour))
	secured := &realBroker{config: kafkatest.Config{Version: kafkatest.V440, OffsetsPartitions: 5, Secure: &kafkatest.Secure{
		KeyStore: pemOf(t, cert, key), ClientCA: pemOf(t, w.ca.cert, nil), Users: map[string]string{"alice": "alice's secret", "bob": "bob-secret"}, Super: []string{"alice", "scram", "token", "CN=client"},
	}}}
	t.Cleanup(secured.stop)
	w.cluster = secured.get(t)
	w.line = newCommandLine(t, "")
	return w
}

// run runs the program with a properties file.
func (w *securedWorld) run(properties string, args ...string) (code int, stdout, stderr string) {
	w.t.Helper()
	return w.line.run(append(args, "-c", w.file("client.properties", []byte(properties)), "--timeout", "10s")...)
}

func jaas(module, user, password string) string {
	return fmt.Sprintf(`sasl.jaas.config=org.apache.kafka.common.security.%s required username="%s" \`+"\n"+`  password="%s";`+"\n", module, user, password)
}

// TestSecuredKafka connects to a real 4.3.1 with TLS, client certificates and
// SASL, with the properties files that Java clients take, and in all the ways in
// which that goes wrong: each names its cause, and none a password.
func TestSecuredKafka(t *testing.T) {
	w := newSecuredWorld(t)
	plainListener, err := kgo.NewClient(kgo.SeedBrokers(w.cluster.Bootstrap), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer plainListener.Close()
	adm := kadm.NewClient(plainListener)
	for _, m := range []kadm.ScramMechanism{kadm.ScramSha256, kadm.ScramSha512} {
		altered, err := adm.AlterUserSCRAMs(t.Context(), nil, []kadm.UpsertSCRAM{{User: "scram", Mechanism: m, Iterations: 4096, Password: "scram-secret"}})
		if err != nil || altered.Error() != nil {
			t.Fatal(err, altered.Error())
		}
	}
	for _, step := range []string{"topic seen 1", "records seen 0 9", "commit seen-group seen 0 4", "topic hidden 1", "records hidden 0 9", "commit hidden-group hidden 0 4", "commit seen-group hidden 0 2"} {
		if err := given(t.Context(), plainListener, strings.Split(step, " ")); err != nil {
			t.Fatalf("given %s: %v", step, err)
		}
	}
	client, clientKey := w.ca.leaf("client", time.Now().Add(time.Hour))
	late, lateKey := w.ca.leaf("client", time.Now().Add(-time.Minute))
	other := newAuthority(t, "somebody else")
	ca := w.file("ca.pem", []byte(pemOf(t, w.ca.cert, nil)))
	trust := "ssl.truststore.type=PEM\nssl.truststore.location=" + ca + "\n"
	sasl := "bootstrap.servers=" + w.cluster.SASL + "\nsecurity.protocol=SASL_SSL\n" + trust
	mtls := "bootstrap.servers=" + w.cluster.MTLS + "\nsecurity.protocol=SSL\n" + trust
	encrypted, err := pkcs8.MarshalPrivateKey(clientKey, []byte("key-secret"), nil)
	if err != nil {
		t.Fatal(err)
	}
	encryptedPEM := string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: encrypted})) + pemOf(t, client, nil)
	p12, err := pkcs12.Modern.Encode(clientKey, client, nil, "store-secret")
	if err != nil {
		t.Fatal(err)
	}
	p12Trust, err := pkcs12.Modern.EncodeTrustStore([]*x509.Certificate{w.ca.cert}, "store-secret")
	if err != nil {
		t.Fatal(err)
	}
	plain := "sasl.mechanism=PLAIN\n"
	tokens := newTokenServer(t)
	oauth := sasl + "sasl.mechanism=OAUTHBEARER\nsasl.login.callback.handler.class=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler\n"
	client0 := func(secret string) string {
		return `sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required clientId="app" clientSecret="` + secret + `" scope="kafka";` + "\n"
	}
	endpoint := func(where string) string { return "sasl.oauthbearer.token.endpoint.url=" + where + "\n" }
	for _, c := range []struct {
		name, properties string
		code             int
		stderr           string
	}{
		{"SASL PLAIN", sasl + plain + jaas("plain.PlainLoginModule", "alice", "alice's secret"), 0, ""},
		{"SCRAM-SHA-256", sasl + "sasl.mechanism=SCRAM-SHA-256\n" + jaas("scram.ScramLoginModule", "scram", "scram-secret"), 0, ""},
		{"SCRAM-SHA-512", sasl + "sasl.mechanism=SCRAM-SHA-512\n" + jaas("scram.ScramLoginModule", "scram", "scram-secret"), 0, ""},
		{"client certificate, PEM", mtls + "ssl.keystore.type=PEM\nssl.keystore.location=" + w.file("client.pem", []byte(pemOf(t, client, clientKey))), 0, ""},
		{"client certificate, encrypted PEM", mtls + "ssl.keystore.type=PEM\nssl.key.password=key-secret\nssl.keystore.location=" + w.file("encrypted.pem", []byte(encryptedPEM)), 0, ""},
		{"client certificate in the file itself", mtls + "ssl.keystore.type=PEM\nssl.keystore.certificate.chain=" + inline(pemOf(t, client, nil)) + "\nssl.keystore.key=" + inline(strings.TrimSuffix(pemOf(t, client, clientKey), pemOf(t, client, nil))), 0, ""},
		{"PKCS12 stores", "bootstrap.servers=" + w.cluster.MTLS + "\nsecurity.protocol=SSL\nssl.truststore.type=PKCS12\nssl.truststore.password=store-secret\nssl.truststore.location=" + w.file("trust.p12", p12Trust) +
			"\nssl.keystore.type=PKCS12\nssl.keystore.password=store-secret\nssl.keystore.location=" + w.file("client.p12", p12), 0, ""},
		{"JKS trust store", "bootstrap.servers=" + w.cluster.SASL + "\nsecurity.protocol=SASL_SSL\nssl.truststore.password=store-secret\nssl.truststore.location=" + w.file("trust.jks", jks(t, w.ca.cert)) + "\n" + plain + jaas("plain.PlainLoginModule", "alice", "alice's secret"), 0, ""},
		{"names unchecked", sasl + "ssl.endpoint.identification.algorithm=\n" + plain + jaas("plain.PlainLoginModule", "alice", "alice's secret"), 0, ""},
		{"OAUTHBEARER with client credentials", oauth + endpoint(tokens.URL) + client0("app-secret"), 0, ""},
		{"OAUTHBEARER with a token in a file", oauth + endpoint("file://"+w.file("token", []byte(unsignedToken(time.Now().Add(time.Hour))+"\n"))) + "sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;\n", 0, ""},

		{"wrong client credentials", oauth + endpoint(tokens.URL) + client0("wrong-secret"), 1, "getting a token from " + tokens.URL + ": 401 Unauthorized invalid_client"},
		{"no token endpoint", oauth + endpoint("http://127.0.0.1:1/token") + client0("app-secret"), 1, "getting a token from http://127.0.0.1:1/token"},
		{"an expired token", oauth + endpoint("file://"+w.file("old-token", []byte(unsignedToken(time.Now().Add(-time.Hour))))) + "sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;\n", 1, "refuses the login"},
		{"no token file", oauth + endpoint("file:///no/such/token") + "sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;\n", 1, "no such file"},
		{"another callback handler", oauth + "sasl.client.callback.handler.class=com.example.Own\n" + endpoint(tokens.URL) + client0("app-secret"), 2, "cannot be run here"},
		{"wrong password", sasl + plain + jaas("plain.PlainLoginModule", "alice", "wrong-secret"), 1, "refuses the login"},
		{"wrong SCRAM password", sasl + "sasl.mechanism=SCRAM-SHA-512\n" + jaas("scram.ScramLoginModule", "scram", "wrong-secret"), 1, "refuses the login"},
		{"another authority", strings.Replace(sasl, ca, w.file("other.pem", []byte(pemOf(t, other.cert, nil))), 1) + plain + jaas("plain.PlainLoginModule", "alice", "alice's secret"), 1, "certificate signed by unknown authority"},
		{"no client certificate", mtls, 1, "refuses this client's certificate, or wants one"},
		{"expired client certificate", mtls + "ssl.keystore.type=PEM\nssl.keystore.location=" + w.file("late.pem", []byte(pemOf(t, late, lateKey))), 1, "refuses this client's certificate, or wants one"},
		{"TLS to a plain port", strings.Replace(sasl, w.cluster.SASL, w.cluster.Bootstrap, 1) + plain + jaas("plain.PlainLoginModule", "alice", "alice's secret"), 1, "does the port speak TLS"},
		{"plain to a TLS port", "bootstrap.servers=" + w.cluster.MTLS + "\n", 1, "TLS"},
		{"wrong store password", mtls + "ssl.keystore.type=PKCS12\nssl.keystore.password=wrong-secret\nssl.keystore.location=" + w.file("client.p12", p12), 2, "the password is wrong"},
		{"wrong key password", mtls + "ssl.keystore.type=PEM\nssl.key.password=wrong-secret\nssl.keystore.location=" + w.file("encrypted.pem", []byte(encryptedPEM)), 2, "cannot be decrypted"},
		{"no such store", mtls + "ssl.keystore.location=/no/such/store", 2, "no such file"},
		{"wrong login module", sasl + plain + jaas("scram.ScramLoginModule", "alice", "alice's secret"), 2, "goes with PlainLoginModule"},
		{"GSSAPI", sasl + "sasl.mechanism=GSSAPI\n" + jaas("plain.PlainLoginModule", "a", "b-secret"), 2, "goes with Krb5LoginModule"},
		{"an unknown mechanism", sasl + "sasl.mechanism=DIGEST-MD5\n" + jaas("plain.PlainLoginModule", "a", "b-secret"), 2, "is not supported"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := w.run(c.properties, "describe", "seen-group", "-o", "json")
			t.Logf("exit %d %s", code, stderr)
			if code != c.code || !strings.Contains(stderr, c.stderr) || c.code == 0 && !strings.Contains(stdout, `"committed":4`) {
				t.Errorf("exit %d, want %d and %q\n%s\n%s", code, c.code, c.stderr, stdout, stderr)
			}
			if strings.Contains(stdout+stderr, "secret") {
				t.Errorf("a password is shown: %s", stderr)
			}
		})
	}

	t.Run("what one may not see", func(t *testing.T) { w.hidden(t, adm, sasl+plain+jaas("plain.PlainLoginModule", "bob", "bob-secret")) })
}

// hidden: bob may describe some groups and topics, and not others. What he may
// not see is told, and never taken for something that is not there.
func (w *securedWorld) hidden(t *testing.T, adm *kadm.Client, bob string) {
	acls := kadm.NewACLs().ResourcePatternType(kadm.ACLPatternLiteral).Groups("seen-group").Topics("seen").Allow("User:bob").AllowHosts().Operations(kadm.OpDescribe, kadm.OpRead)
	if _, err := adm.CreateACLs(t.Context(), acls); err != nil {
		t.Fatal(err)
	}
	var code int
	var stdout, stderr string
	wait(t, func() bool { // ACLs take a moment
		code, stdout, stderr = w.run(bob, "describe", "seen-group", "-o", "json")
		return strings.Contains(stdout, `"committed":4`)
	})
	got, err := query(stdout, `[.groups[0].partitions[] | [.topic, .committed, .status]]`)
	if err != nil || !strings.Contains(got, `["seen",4,"behind"]`) || strings.Contains(got, "no_commit") {
		t.Errorf("exit %d: %s (%v)\n%s", code, got, err, stderr)
	}
	if code, _, stderr := w.run(bob, "describe", "hidden-group"); code != 1 || !strings.Contains(stderr, "GROUP_AUTHORIZATION_FAILED") {
		t.Errorf("a hidden group: exit %d, %s", code, stderr)
	}
	if code, stdout, stderr := w.run(bob, "describe", "seen-group", "hidden-group", "-o", "json"); code != 5 || !strings.Contains(stdout, "seen-group") || !strings.Contains(stderr, "hidden-group") {
		t.Errorf("one of two is hidden: exit %d, %s", code, stderr)
	}
	code, stdout, stderr = w.run(bob, "list", "-o", "json")
	if code != 0 || !strings.Contains(stdout, "seen-group") || strings.Contains(stdout, `"group":"hidden-group"`) || strings.Contains(stdout, `"visibility":"full"`) || !strings.Contains(stderr, "may") {
		t.Errorf("list: exit %d\n%s\n%s", code, stdout, stderr)
	}
	code, stdout, stderr = w.run(bob, "describe", "--all", "-o", "json")
	if code != 0 || !strings.Contains(stdout, `"visibility":"filtered"`) || !strings.Contains(stderr, "only groups and topics that this user may see") || strings.Contains(stdout, `"status":"no_commit"`) {
		t.Errorf("describe --all: exit %d\n%s\n%s", code, stdout, stderr)
	}
	code, stdout, stderr = w.run(bob, "policy", "seen-group", "--topic", "seen", "--topic", "hidden", "-o", "json")
	if code != 5 || !strings.Contains(stdout, `"topic":"seen"`) || !strings.Contains(stderr, "topic hidden: TOPIC_AUTHORIZATION_FAILED") {
		t.Errorf("a hidden topic that is named: exit %d\n%s\n%s", code, stdout, stderr)
	}
	if code, _, stderr := w.run(bob, "decode"); code != 1 || !strings.Contains(stderr, "may not read __consumer_offsets") {
		t.Errorf("decode: exit %d, %s", code, stderr)
	}
	if code, _, stderr := w.run(bob, "reset", "seen-group", "--to", "earliest", "--topic", "hidden", "--execute", "--settle", "0s"); code == 0 {
		t.Errorf("a reset of a hidden topic: exit %d, %s", code, stderr)
	}
	if code, _, stderr := w.run(bob, "reset", "seen-group", "--to", "earliest", "--topic", "seen", "--execute", "--settle", "0s"); code != 0 {
		t.Errorf("a reset of what bob may: exit %d, %s", code, stderr)
	}
	if code, _, stderr := w.run(bob, "undo", "seen-group", "--execute", "--settle", "0s"); code != 0 {
		t.Errorf("undo: exit %d, %s", code, stderr)
	}
}

// newTokenServer gives unsigned tokens to the client "app".
func newTokenServer(t *testing.T) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if id, secret, _ := r.BasicAuth(); id != "app" || secret != "app-secret" || r.FormValue("scope") != "kafka" || r.FormValue("grant_type") != "client_credentials" {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":"invalid_client","error_description":"the secret is wrong-secret"}`)
			return
		}
		fmt.Fprintf(w, `{"access_token":%q,"token_type":"bearer","expires_in":3600}`, unsignedToken(time.Now().Add(time.Hour)))
	}))
	t.Cleanup(s.Close)
	return s
}

// unsignedToken is a JWT (RFC 7519, 6) of the user "token".
func unsignedToken(until time.Time) string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return part(`{"alg":"none"}`) + "." + part(fmt.Sprintf(`{"sub":"token","iat":%d,"exp":%d}`, until.Add(-2*time.Hour).Unix(), until.Unix())) + "."
}

// inline is a PEM text as the value of a property.
func inline(text string) string { return strings.ReplaceAll(strings.TrimSpace(text), "\n", "\\n") }

func jks(t *testing.T, cert *x509.Certificate) []byte {
	t.Helper()
	ks := keystore.New()
	if err := ks.SetTrustedCertificateEntry("ca", keystore.TrustedCertificateEntry{CreationTime: time.Now(), Certificate: keystore.Certificate{Type: "X509", Content: cert.Raw}}); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := ks.Store(&b, []byte("store-secret")); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
