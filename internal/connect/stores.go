package connect

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/pavlo-v-chernykh/keystore-go/v4"
	"github.com/youmark/pkcs8"
	"software.sslmate.com/src/go-pkcs12"
)

// Key stores and trust stores: PEM, PKCS12 and JKS. What a file is, its first
// bytes say; the configured type must not contradict that, except that Java
// reads PKCS12 under the type JKS, too.
const (
	storePEM    = "PEM"
	storePKCS12 = "PKCS12"
	storeJKS    = "JKS"
)

func readStore(file, configured string) (kind string, text []byte, err error) {
	if text, err = os.ReadFile(file); err != nil {
		return "", nil, err
	}
	switch {
	case bytes.HasPrefix(text, []byte{0xfe, 0xed, 0xfe, 0xed}):
		kind = storeJKS
	case bytes.Contains(text, []byte("-----BEGIN ")):
		kind = storePEM
	default:
		kind = storePKCS12
	}
	switch kind {
	case storeJKS:
		err = checkJKS(text)
	case storePKCS12:
		err = checkRounds(text)
	}
	if err != nil {
		return "", nil, err
	}
	configured = strings.ToUpper(configured)
	if configured != "" && configured != kind && !(configured == storeJKS && kind == storePKCS12) {
		return "", nil, fmt.Errorf("it is a %s store, but the type says %s", kind, configured)
	}
	return kind, text, nil
}

func readTrustStore(file, configured, password string) (*x509.CertPool, error) {
	kind, text, err := readStore(file, configured)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	switch kind {
	case storePEM:
		return poolOfPEM("the file", text)
	case storePKCS12:
		certs, err := pkcs12.DecodeTrustStore(text, password)
		if err != nil {
			return nil, storeError(err)
		}
		for _, c := range certs {
			pool.AddCert(c)
		}
		return pool, nil
	}
	ks := keystore.New()
	if err := ks.Load(bytes.NewReader(text), []byte(password)); err != nil {
		return nil, storeError(err)
	}
	for _, alias := range ks.Aliases() {
		entry, err := ks.GetTrustedCertificateEntry(alias)
		if err != nil {
			continue // a key
		}
		c, err := x509.ParseCertificate(entry.Certificate.Content)
		if err != nil {
			return nil, err
		}
		pool.AddCert(c)
	}
	return pool, nil
}

func readKeyStore(file, configured, password, keyPassword string) (*tls.Certificate, error) {
	kind, text, err := readStore(file, configured)
	if err != nil {
		return nil, err
	}
	switch kind {
	case storePEM:
		return certificateOfPEM(text, keyPassword)
	case storePKCS12:
		key, leaf, chain, err := pkcs12.DecodeChain(text, password)
		if err != nil {
			return nil, storeError(err)
		}
		out := &tls.Certificate{PrivateKey: key, Leaf: leaf, Certificate: [][]byte{leaf.Raw}}
		for _, c := range chain {
			out.Certificate = append(out.Certificate, c.Raw)
		}
		return out, nil
	}
	ks := keystore.New()
	if err := ks.Load(bytes.NewReader(text), []byte(password)); err != nil {
		return nil, storeError(err)
	}
	if keyPassword == "" {
		keyPassword = password
	}
	for _, alias := range ks.Aliases() {
		if !ks.IsPrivateKeyEntry(alias) {
			continue
		}
		entry, err := ks.GetPrivateKeyEntry(alias, []byte(keyPassword))
		if err != nil {
			return nil, storeError(err)
		}
		key, err := x509.ParsePKCS8PrivateKey(entry.PrivateKey)
		if err != nil {
			return nil, err
		}
		out := &tls.Certificate{PrivateKey: key}
		for _, c := range entry.CertificateChain {
			out.Certificate = append(out.Certificate, c.Content)
		}
		return out, nil
	}
	return nil, errors.New("it has no private key")
}

// storeError words what goes wrong with stores in practice.
func storeError(err error) error {
	if errors.Is(err, pkcs12.ErrIncorrectPassword) || strings.Contains(err.Error(), "digest") {
		return errors.New("the password is wrong, or the file is damaged")
	}
	return err
}

func poolOfPEM(where string, text []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate in PEM form", where)
	}
	return pool, nil
}

// certificateOfPEM takes a private key and a chain of certificates out of one
// text, in any order, as Java's PEM key stores have them.
func certificateOfPEM(text []byte, password string) (*tls.Certificate, error) {
	out := &tls.Certificate{}
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		switch {
		case block.Type == "CERTIFICATE":
			out.Certificate = append(out.Certificate, block.Bytes)
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			key, err := privateKey(block, password)
			if err != nil {
				return nil, err
			}
			out.PrivateKey = key
		}
	}
	switch {
	case out.PrivateKey == nil:
		return nil, errors.New("there is no private key in PEM form")
	case len(out.Certificate) == 0:
		return nil, errors.New("there is no certificate in PEM form")
	}
	return out, nil
}

func privateKey(block *pem.Block, password string) (any, error) {
	switch block.Type {
	case "ENCRYPTED PRIVATE KEY":
		if password == "" {
			return nil, errors.New("the private key is encrypted: " + keyKeyPassword + " is needed")
		}
		if err := checkRounds(block.Bytes); err != nil {
			return nil, err
		}
		key, err := pkcs8.ParsePKCS8PrivateKey(block.Bytes, []byte(password))
		if err != nil {
			return nil, errors.New("the private key cannot be decrypted: is " + keyKeyPassword + " right?")
		}
		return key, nil
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(block.Bytes)
	}
	return x509.ParsePKCS8PrivateKey(block.Bytes)
}
