// Package demo plays experiments that show what committed offsets do: real
// producer and consumer processes of this program, a real kill -9, and the
// committed offsets as the broker tells them.
//
// A scene tells its story as it happens, and ends in a [Scene]: what was
// observed, not what was expected.
package demo
