package connect

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/twmb/franz-go/pkg/sasl"
)

// The keys of a properties file that are about security, as the Java clients
// name them.
const (
	keyProtocol         = "security.protocol"
	keyTrustType        = "ssl.truststore.type"
	keyTrustFile        = "ssl.truststore.location"
	keyTrustPassword    = "ssl.truststore.password"
	keyTrustCerts       = "ssl.truststore.certificates"
	keyStoreType        = "ssl.keystore.type"
	keyStoreFile        = "ssl.keystore.location"
	keyStorePassword    = "ssl.keystore.password"
	keyStoreChain       = "ssl.keystore.certificate.chain"
	keyStoreKey         = "ssl.keystore.key"
	keyKeyPassword      = "ssl.key.password"
	keyIdentification   = "ssl.endpoint.identification.algorithm"
	keyTLSProtocol      = "ssl.protocol"
	keyEnabledProtocols = "ssl.enabled.protocols"
	keyMechanism        = "sasl.mechanism"
	keyJAAS             = "sasl.jaas.config"
	keyService          = "sasl.kerberos.service.name"
	keyTokenURL         = "sasl.oauthbearer.token.endpoint.url"
	keyTokenClient      = "sasl.oauthbearer.client.credentials.client.id"
	keyTokenSecret      = "sasl.oauthbearer.client.credentials.client.secret"
	keyTokenScope       = "sasl.oauthbearer.scope"
	keyLoginHandler     = "sasl.login.callback.handler.class"
	keyClientHandler    = "sasl.client.callback.handler.class"
)

func securityKeys() []string {
	return []string{
		keyProtocol, keyTrustType, keyTrustFile, keyTrustPassword, keyTrustCerts, keyStoreType, keyStoreFile, keyStorePassword,
		keyStoreChain, keyStoreKey, keyKeyPassword, keyIdentification, keyTLSProtocol, keyEnabledProtocols, keyMechanism, keyJAAS,
		keyService, keyTokenURL, keyTokenClient, keyTokenSecret, keyTokenScope, keyLoginHandler, keyClientHandler,
	}
}

// security is what those keys say.
type security map[string]string

// config turns the keys into TLS and SASL. Each is nil where the protocol has
// none of it.
func (s security) config() (*tls.Config, sasl.Mechanism, error) {
	protocol := cmp.Or(s[keyProtocol], "PLAINTEXT")
	var t *tls.Config
	var m sasl.Mechanism
	var err error
	switch strings.ToUpper(protocol) {
	case "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL":
	default:
		return nil, nil, fmt.Errorf("%s: unknown protocol %q: want PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL", keyProtocol, protocol)
	}
	if strings.HasSuffix(strings.ToUpper(protocol), "SSL") {
		if t, err = s.tls(); err != nil {
			return nil, nil, err
		}
	}
	if strings.HasPrefix(strings.ToUpper(protocol), "SASL") {
		if m, err = s.sasl(); err != nil {
			return nil, nil, err
		}
	}
	return t, m, nil
}

// unencrypted tells which secrets go over the network as they are. SCRAM sends
// none; over the loopback interface nobody else listens.
func (s security) unencrypted() (out []string) {
	protocol := strings.ToUpper(s[keyProtocol])
	if !strings.HasPrefix(protocol, "SASL") {
		return nil
	}
	plain := protocol == "SASL_PLAINTEXT"
	if plain && s[keyMechanism] == "PLAIN" {
		out = append(out, "PLAIN over SASL_PLAINTEXT sends the password unencrypted; SASL_SSL encrypts it")
	}
	if s[keyMechanism] != "OAUTHBEARER" {
		return out
	}
	if plain {
		out = append(out, "OAUTHBEARER over SASL_PLAINTEXT sends the token unencrypted; SASL_SSL encrypts it")
	}
	if where, err := url.Parse(s[keyTokenURL]); err == nil && where.Scheme == "http" && !isLoopback(where.Hostname()) {
		out = append(out, fmt.Sprintf("the token endpoint at %s is asked over http, which sends the client's secret unencrypted; https encrypts it", where.Host))
	}
	return out
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}

func (s security) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if err := s.versions(c); err != nil {
		return nil, err
	}
	roots, err := s.trusted()
	if err != nil {
		return nil, err
	}
	c.RootCAs = roots
	own, err := s.ownCertificate()
	if err != nil {
		return nil, err
	}
	if own != nil {
		c.Certificates = []tls.Certificate{*own}
	}
	if algorithm, set := s[keyIdentification]; set && !strings.EqualFold(algorithm, "https") {
		if algorithm != "" {
			return nil, fmt.Errorf("%s: %q: want https, or nothing to leave host names unchecked", keyIdentification, algorithm)
		}
		// Certificates are checked all the same, but not whose they are.
		c.InsecureSkipVerify = true
		c.VerifyConnection = func(state tls.ConnectionState) error {
			opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
			for _, cert := range state.PeerCertificates[1:] {
				opts.Intermediates.AddCert(cert)
			}
			_, err := state.PeerCertificates[0].Verify(opts)
			return err
		}
	}
	return c, nil
}

// versions reads ssl.protocol and ssl.enabled.protocols.
func (s security) versions(c *tls.Config) error {
	known := map[string]uint16{"TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13}
	if p := s[keyTLSProtocol]; p != "" && p != "TLS" && known[p] == 0 {
		return fmt.Errorf("%s: %q: want TLSv1.2 or TLSv1.3", keyTLSProtocol, p)
	}
	list := s[keyEnabledProtocols]
	if list == "" {
		return nil
	}
	c.MinVersion, c.MaxVersion = tls.VersionTLS13, tls.VersionTLS12
	for name := range strings.SplitSeq(list, ",") {
		v := known[strings.TrimSpace(name)]
		if v == 0 {
			return fmt.Errorf("%s: %q: want TLSv1.2 and TLSv1.3", keyEnabledProtocols, list)
		}
		c.MinVersion, c.MaxVersion = min(c.MinVersion, v), max(c.MaxVersion, v)
	}
	return nil
}

// trusted is the certificates of authorities; nil is the system's.
func (s security) trusted() (*x509.CertPool, error) {
	if pem := s[keyTrustCerts]; pem != "" {
		return poolOfPEM(keyTrustCerts, []byte(pem))
	}
	file := s[keyTrustFile]
	if file == "" {
		return nil, nil
	}
	pool, err := readTrustStore(file, s[keyTrustType], s[keyTrustPassword])
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", keyTrustFile, file, err)
	}
	return pool, nil
}

// ownCertificate is what this client proves itself with; nil for nothing.
func (s security) ownCertificate() (*tls.Certificate, error) {
	if chain, key := s[keyStoreChain], s[keyStoreKey]; chain != "" || key != "" {
		c, err := certificateOfPEM([]byte(chain+"\n"+key), s[keyKeyPassword])
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", keyStoreChain, keyStoreKey, err)
		}
		return c, nil
	}
	file := s[keyStoreFile]
	if file == "" {
		return nil, nil
	}
	c, err := readKeyStore(file, s[keyStoreType], s[keyStorePassword], s[keyKeyPassword])
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", keyStoreFile, file, err)
	}
	return c, nil
}
