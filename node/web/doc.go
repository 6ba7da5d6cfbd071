// Package web is a station's face to people and programs: the HTTP API, sessions, and the hub that holds
// their websockets. It states what it needs of a station in Station and never imports cluster.
//
// The one rule: what a person may see is decided at every push and every answer, by alerts.Redact, and
// nowhere else; no route and no frame goes out without that decision.
package web
