// Package reset changes what consumer groups have committed. It is the only
// library here that does.
//
// A change is a [Plan] first, made by the pure function [Build] from what
// package inspect saw; only [Apply] writes. A plan never joins a group and
// sends read requests only. What is unsafe is refused, in the plan already
// where that can be known.
package reset
