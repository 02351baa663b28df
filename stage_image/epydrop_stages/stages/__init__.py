"""The three programs: builder, runner, output."""
