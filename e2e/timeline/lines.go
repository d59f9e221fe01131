package main

import (
	"fmt"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Plot implements plot.Plotter.
func (l *lines) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	d := &drawing{canvas: &c, x: x, y: y, label: text.Style{Color: color.Black, Font: sans(8), YAlign: text.YCenter, Handler: p.TextHandler}}
	for _, tick := range p.X.Tick.Marker.Ticks(p.X.Min, p.X.Max) {
		if !tick.IsMinor() {
			d.vertical(tick.Value, p.Y.Min, p.Y.Max, draw.LineStyle{Color: grid, Width: vg.Points(0.5)})
		}
	}
	for _, panel := range l.panels {
		d.panel(panel)
	}
}

// drawing turns seconds and rows into places.
type drawing struct {
	canvas *draw.Canvas
	x, y   func(float64) vg.Length
	label  text.Style
}

func (d *drawing) vertical(at, from, to float64, style draw.LineStyle) {
	d.canvas.StrokeLine2(style, d.x(at), d.y(from), d.x(at), d.y(to))
}

func (d *drawing) panel(p placed) {
	title := d.label
	title.Font = sans(11)
	d.canvas.FillText(title, vg.Point{X: d.x(0) + vg.Points(3), Y: d.y(p.top - 0.5)}, p.Title)
	for i, r := range p.Rows {
		d.fill(between, p.y(i), r.Start, r.End)
		for _, b := range r.Bars {
			d.fill(colorOf(b.Kind), p.y(i), b.Start, b.End)
			d.name(b, p.y(i))
		}
	}
	d.vertical(p.Ready, p.top-1, p.y(len(p.Rows)-1)-0.5, draw.LineStyle{Color: mark, Width: vg.Points(1.5)})
	ready := title
	ready.Color, ready.XAlign = mark, text.XRight
	d.canvas.FillText(ready, vg.Point{X: d.x(p.Ready), Y: d.y(p.top - 0.5)}, fmt.Sprintf("all Ready: %.1f s", p.Ready))
}

// fill draws a bar with a thin white edge, so that neighbours of one color
// stay two.
func (d *drawing) fill(c color.RGBA, y, start, end float64) {
	corners := rectangle(vg.Point{X: d.x(start), Y: d.y(y - inside/2)}, vg.Point{X: d.x(end), Y: d.y(y + inside/2)})
	d.canvas.FillPolygon(c, corners)
	d.canvas.StrokeLines(draw.LineStyle{Color: color.White, Width: vg.Points(0.4)}, append(corners, corners[0]))
}

// name writes the name into the bar, if there is room for it.
func (d *drawing) name(b bar, y float64) {
	const space = 2 // points on either side
	if d.label.Width(b.Name)+vg.Points(2*space) > d.x(b.End)-d.x(b.Start) {
		return
	}
	d.canvas.FillText(d.label, vg.Point{X: d.x(b.Start) + vg.Points(space), Y: d.y(y)}, b.Name)
}

// colorOf is the last kind's color for kinds that are not in the list.
func colorOf(kind string) color.RGBA {
	for _, k := range kinds {
		if k.name == kind {
			return k.color
		}
	}
	return kinds[len(kinds)-1].color
}
