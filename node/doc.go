// Package node is one station: it assembles what cluster, node/web and ui give, keeps the view that screens
// show, does the duties nobody asks for (waves, receipts), and starts and stops the whole in order.
//
// It holds no rule of its own: what counts, who hears and who may is asked of package alerts.
//
// The one rule: the view is the fold of the record plus the pending set, made anew from both whenever
// either changes, and published from one place. Nothing else may tell a screen what an incident is.
package node
