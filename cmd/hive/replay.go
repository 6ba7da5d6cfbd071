package main

import "errors"

type replayCmd struct{}

func (replayCmd) Run() error { return errors.New("not there yet") }
