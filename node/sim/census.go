package sim

import (
	"runtime"
	"strings"
)

// census counts the goroutines of the process by the function that each began with.
func census() map[string]int {
	buf := make([]byte, 1<<20)
	n := runtime.Stack(buf, true)
	for ; n == len(buf); n = runtime.Stack(buf, true) {
		buf = make([]byte, 2*len(buf))
	}
	count := map[string]int{}
	for stack := range strings.SplitSeq(string(buf[:n]), "\n\n") {
		count[beganWith(stack)]++
	}
	return count
}

// beganWith is the outermost function of a goroutine's stack, as runtime.Stack writes it.
func beganWith(stack string) (name string) {
	for line := range strings.SplitSeq(stack, "\n") {
		if strings.HasPrefix(line, "created by ") {
			break
		}
		if strings.HasPrefix(line, "\t") || strings.HasPrefix(line, "sync.(*WaitGroup).Go.") || strings.HasPrefix(line, "goroutine ") {
			continue
		}
		if k := strings.LastIndexByte(line, '('); k > 0 {
			name = line[:k]
		}
	}
	return name
}
