package main

import "github.com/spf13/cobra"

func pluginNew() *cobra.Command    { return &cobra.Command{Use: "new"} }
func pluginKeygen() *cobra.Command { return &cobra.Command{Use: "keygen"} }
