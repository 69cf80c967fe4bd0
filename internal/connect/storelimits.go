package connect

import (
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
)

// Stores name themselves how much work it is to open them, and the libraries
// believe them. These bounds are far above what tools write: keytool and OpenSSL
// have some thousand rounds an entry, and 600,000 are recommended at most.
const (
	maxStoreRounds  = 5_000_000
	maxScryptMemory = 256 << 20
)

var errStoreRounds = fmt.Errorf("it wants more than %d rounds of key derivation to be opened", maxStoreRounds)

var oidScrypt = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}

// checkRounds looks at everything in a DER text that says how often something is
// to be computed: a number right behind a salt. It looks into octet strings, which
// PKCS12 wraps its parts in; what is encrypted it cannot see, but a store's
// checksum is compared before that is opened.
func checkRounds(der []byte) error {
	c := roundCounter{left: maxStoreRounds}
	c.walk(der, 0)
	return c.err
}

type roundCounter struct {
	left int64
	err  error
}

func (c *roundCounter) walk(der []byte, depth int) {
	const deepest = 32
	if depth > deepest {
		return
	}
	salt := false // the element before was an octet string
	for len(der) > 0 && c.err == nil {
		var e asn1.RawValue
		rest, err := asn1.Unmarshal(der, &e)
		if err != nil {
			return // the library finds it as well
		}
		der = rest
		universal := e.Class == asn1.ClassUniversal
		if universal && e.Tag == asn1.TagInteger && salt {
			c.count(e)
		}
		salt = universal && e.Tag == asn1.TagOctetString
		if e.IsCompound {
			c.scrypt(e)
		}
		if e.IsCompound || salt {
			c.walk(e.Bytes, depth+1)
		}
	}
}

// count takes a number of rounds off what is allowed.
func (c *roundCounter) count(e asn1.RawValue) {
	n := new(big.Int)
	if _, err := asn1.Unmarshal(e.FullBytes, &n); err != nil {
		return
	}
	if !n.IsInt64() || n.Int64() > c.left {
		c.err = errStoreRounds
	} else if n.Sign() > 0 {
		c.left -= n.Int64()
	}
}

// scrypt takes memory, beside time.
func (c *roundCounter) scrypt(e asn1.RawValue) {
	var alg struct {
		OID    asn1.ObjectIdentifier
		Params struct {
			Salt    []byte
			N, R, P *big.Int
		}
	}
	var head struct {
		OID    asn1.ObjectIdentifier
		Params asn1.RawValue `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(e.FullBytes, &head); err != nil || !head.OID.Equal(oidScrypt) {
		return
	}
	// Elements behind these, such as the key's length, are left out.
	inner := head.Params.Bytes
	for _, to := range []any{&alg.Params.Salt, &alg.Params.N, &alg.Params.R, &alg.Params.P} {
		rest, err := asn1.Unmarshal(inner, to)
		if err != nil {
			return
		}
		inner = rest
	}
	memory := new(big.Int).Mul(alg.Params.N, alg.Params.R)
	memory.Mul(memory, big.NewInt(128))
	rounds := new(big.Int).Mul(new(big.Int).Mul(alg.Params.N, alg.Params.R), alg.Params.P)
	blocks := new(big.Int).Mul(alg.Params.R, alg.Params.P)
	for _, n := range []*big.Int{alg.Params.N, alg.Params.R, alg.Params.P} {
		if n.Sign() <= 0 {
			return // refused by the library
		}
	}
	const most = 64 << 20 // rounds of its core, some 10 s
	if memory.Cmp(big.NewInt(maxScryptMemory)) > 0 || rounds.Cmp(big.NewInt(most)) > 0 || blocks.Cmp(big.NewInt(1<<20)) > 0 {
		c.err = fmt.Errorf("its scrypt parameters want more than %d MiB of memory, or too much time", maxScryptMemory>>20)
	}
}

// checkJKS walks a JKS store by its lengths: the library takes memory for what a
// length says before it looks whether there is so much.
func checkJKS(text []byte) error {
	r := jksReader{rest: text}
	r.take(4) // magic
	version, entries := r.uint32(), r.uint32()
	for ; entries > 0 && !r.bad; entries-- {
		tag := r.uint32()
		r.short() // alias
		r.take(8) // time
		certificates := uint32(1)
		if tag == 1 { // a private key
			r.take(r.uint32())
			certificates = r.uint32()
		}
		for ; certificates > 0 && !r.bad; certificates-- {
			if version == 2 {
				r.short() // type
			}
			r.take(r.uint32())
		}
	}
	if r.bad {
		return errors.New("the file is damaged: a length in it leads beyond its end")
	}
	return nil
}

type jksReader struct {
	rest []byte
	bad  bool
}

func (r *jksReader) take(n uint32) []byte {
	if r.bad || uint64(n) > uint64(len(r.rest)) {
		r.bad = true
		return nil
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

func (r *jksReader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *jksReader) short() {
	if b := r.take(2); b != nil {
		r.take(uint32(binary.BigEndian.Uint16(b)))
	}
}
