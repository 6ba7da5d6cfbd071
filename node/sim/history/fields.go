package history

import (
	"encoding/json"
	"slices"
	"strings"
)

// Fields that the public side may be told of a matter, and anybody of an alarm. The names are written down here
// once more: a check that asked the code under test for them could not find it wrong.
var (
	CardFields  = strings.Fields("id cell category grade status place card drill raised_at provisional alarm waves wanted coming on_scene mine")
	AlarmFields = strings.Fields("type incident wave support card card.what card.do card.dont category grade place place.lon place.lat place.grid " +
		"place.words place.radius provisional continues drill distance bearing")
)

// Fields names what a JSON object holds, and, deep levels down, what the objects in it hold, as outer.inner.
func Fields(raw json.RawMessage, deep int) []string { return fields("", raw, deep) }

func fields(prefix string, raw json.RawMessage, deep int) []string {
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) != nil {
		return nil
	}
	var out []string
	for name, v := range object {
		out = append(out, prefix+name)
		if deep > 0 {
			out = append(out, fields(prefix+name+".", v, deep-1)...)
		}
	}
	return out
}

// Beyond are the fields that are not among those that may be told, sorted.
func Beyond(told, may []string) []string {
	var out []string
	for _, f := range told {
		if !slices.Contains(may, f) {
			out = append(out, f)
		}
	}
	slices.Sort(out)
	return out
}
