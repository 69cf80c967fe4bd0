// Package segment walks over record batches: in segment files of a broker, or
// in the bytes of a fetch response. It has no connection to anything.
//
// A batch that is damaged is reported and stepped over; what lies behind it is
// still read. Layouts: format v2, KIP-98.
package segment
