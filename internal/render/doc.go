// Package render writes typed results as a table for people, or as JSON, JSON
// lines or CSV for programs. All forms come from the same rows, so that they
// cannot disagree, and rows are written as they arrive.
//
// It knows no result type: a command says with a [Result] how its own rows
// look in each form.
package render
