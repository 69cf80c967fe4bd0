// Package connect turns what a user says about a cluster (bootstrap servers, a
// Java client.properties file, a timeout) into a connected [kgo.Client], and
// what goes wrong on the way into errors that tell what was tried.
package connect
