// Mutation takes single safety checks and rules out of the program, one at a
// time, and runs the tests that are to notice. A rule that can be taken out
// without a failing test is a rule that nobody guards.
//
//	go run ./internal/mutation            plays every mutation
//	go run ./internal/mutation -only 3,7  plays some of them
//	go run ./internal/mutation -list      shows them
//
// The tree is not touched: the changed file reaches the build as an overlay.
// mutations.txt says what is changed, and which tests notice it; the format is
// at its top. A change that does not compile proves nothing, and is an error.
package main
